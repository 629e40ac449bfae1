"""What iperf3 reaches between the first two namespaces, in the direction in which data is sent."""

import json
import subprocess

from networks import NetworkFailed

SECONDS = 2


def bytes_per_us(network):
    """Of payload, over one connection."""
    server = subprocess.Popen([*network.words(1), "iperf3", "-s", "-1", "--forceflush"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        # It says when it listens.
        for line in server.stdout:
            if "listening" in line:
                break
        client = [*network.words(0), "iperf3", "-c", network.addresses[1], "-t", str(SECONDS), "-J"]
        done = subprocess.run(client, capture_output=True, text=True, timeout=30, check=False)
        return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 8e6
    except (ValueError, KeyError, subprocess.TimeoutExpired) as failure:
        raise NetworkFailed(f"iperf3 did not measure the network: {failure}") from None
    finally:
        server.kill()
        server.wait()
