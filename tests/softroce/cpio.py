"""Archives in the "newc" format, which the Linux kernel unpacks as its first file system."""

import stat

TRAILER = "TRAILER!!!"


def _padded(data):
    return data + b"\0" * (-len(data) % 4)


def _entry(name, mode, data=b""):
    encoded = name.encode() + b"\0"
    # Magic, inode, mode, uid, gid, links, mtime, size, four device numbers, name size, checksum.
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(data)


def archive(folders, files):
    """The bytes of an archive of these folders (names) and files (name -> contents). Every file is
    executable: nobody but the first process sees them. Archives may follow one another."""
    parts = [_entry(name, stat.S_IFDIR | 0o755) for name in folders]
    parts += [_entry(name, stat.S_IFREG | 0o755, data) for name, data in files.items()]
    return b"".join(parts) + _entry(TRAILER, 0)
