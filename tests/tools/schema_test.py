"""What `tutti topo --format json` prints is what docs/topology.schema.json says."""

import json
import os
import pathlib
import subprocess
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/topology.schema.json").read_text())
SOURCES = sorted((ROOT / "tests/topology/fixtures").iterdir())


def printed(*arguments):
    command = [os.environ["TUTTI_COMMAND"], "topo", "--format", "json", *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def part(name):
    return {"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}


@unittest.skipIf(jsonschema is None, "Python's jsonschema is not installed")
class Schema(unittest.TestCase):
    def test_everything_printed_is_valid(self):
        for arguments, schema in (([], SCHEMA), (["--affinity"], part("affinity")),
                                  (["--channels"], part("channels"))):
            jsonschema.Draft202012Validator.check_schema(schema)
            jsonschema.validate(printed(*arguments), schema)
            for source in SOURCES:
                with self.subTest(source=source.name, arguments=arguments):
                    jsonschema.validate(printed("--from", str(source), *arguments), schema)

    def test_a_name_too_many_is_not(self):
        for name in ("affinity", "channels"):
            document = printed(f"--{name}")
            document["surprise"] = 1
            with self.assertRaises(jsonschema.ValidationError):
                jsonschema.validate(document, part(name))


if __name__ == "__main__":
    unittest.main()
