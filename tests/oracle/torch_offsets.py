"""torch.load may compute where storages lie, from their names and sizes and without reading a header: with
torch.serialization.config.load.calculate_storage_offsets, and always on the meta device. It must find what was converted there too, so
the records, headers and descriptors around the data are those that torch.save writes.

    python torch_offsets.py [NAME-PATTERN]
"""
import io
import os
import pathlib
import struct
import sys
import tempfile

import ferry_oracle as oracle

CASES = ("dtypes_all", "opt_adam", "sd_model", "tied_weights", "views_shared", "zero_size_and_0d", "bare_tensor", "shared_and_cyclic",
         "form_legacy_proto2", "form_proto4", "collections_objects", "ffb6d_o1")
OURS = "archive/.data/torchferry.json"
WIDE = 0xFFFFFFFF
WRITTEN_BEFORE = struct.pack("<HH", 0, 1 << 5 | 1)      # 1980-01-01; torch writes no date, which is no day


class Source:
    def __init__(self, path, group, label):
        self.path, self.group, self.label = pathlib.Path(path), group, label


# ---------------------------------------------------------------------------------------------------------------- sources made here

def made_sources(folder):
    """Zip and legacy files by this torch: many small tensors, storages of nothing in between, 10 MB, one storage under many names."""
    import torch
    torch.manual_seed(0)
    dtypes = (torch.float32, torch.int8, torch.float64, torch.bool, torch.bfloat16)
    small = {"layer%d.weight" % i: torch.randint(0, 2, (i % 23,)).to(dtypes[i % 5]) for i in range(300)}
    tied = torch.randn(7, 3)
    objects = {
        "many_small": small,
        "zero_size": [torch.zeros(0), torch.ones(3), torch.zeros(0, 4, dtype=torch.int64), torch.zeros(0), tied, tied.t(), tied[2:], torch.ones(1)],
        "zero_size_first": {"a": torch.zeros(0), "b": torch.arange(5.), "c": torch.zeros(0)},
        "nothing": {"epoch": 3},
        "ten_megabytes": {"big": torch.randn(1300, 1000), "small": torch.ones(2), "odd": torch.arange(5_000_001, dtype=torch.uint8), "bias": tied},
    }
    for name, value in objects.items():
        for form in ("zip", "legacy"):
            path = pathlib.Path(folder, "%s_%s.pth" % (name, form))
            torch.save(value, path, _use_new_zipfile_serialization=form == "zip")
            yield Source(path, "made here, " + form, path.stem)


# ---------------------------------------------------------------------------------------------------------------- offsets

def offset_failures(path):
    """Every data record where torch's reader computes it to be, from the end of the one before, as torch/serialization.py does."""
    import torch
    reader = torch._C.PyTorchFileReader(str(path))
    names, failures, cursor = set(reader.get_all_records()), [], None
    alignment = int(reader.get_record(".storage_alignment"))
    for key in range(sum(name.startswith("data/") for name in names)):
        name = "data/%d" % key
        if name not in names:
            return ["no record %s" % name]
        header, offset, size = (reader.get_record_header_offset(name), reader.get_record_offset(name), len(reader.get_record(name)))
        if cursor is not None and reader.get_record_offset_no_read(cursor, name, size, alignment) != offset:
            failures.append("%s lies at %d, computed is %d" % (name, offset, reader.get_record_offset_no_read(cursor, name, size, alignment)))
        cursor = offset + size + (0 if size == 0 else 24 if header >= WIDE or size >= WIDE else 16)
    return failures


def load_failures(path):
    """Loads with computed offsets give what a load that reads headers gives."""
    import torch
    from torch.utils.serialization import config
    plain, reader = torch.load(path, weights_only=True), torch._C.PyTorchFileReader(str(path))
    with config.patch({"load.calculate_storage_offsets": True}):
        mapped = torch.load(path, weights_only=True, mmap=True)
    failures = oracle.differences(plain, mapped)
    os.environ["TORCH_SERIALIZATION_DEBUG"] = "1"        # torch compares computed and true offsets by itself
    try:
        torch.load(path, weights_only=True)
    except RuntimeError as error:
        failures.append(str(error)[-100:])
    finally:
        del os.environ["TORCH_SERIALIZATION_DEBUG"]
    on_meta = torch.load(path, weights_only=True, map_location="meta")
    places = {reader.get_record_offset(name) for name in reader.get_all_records() if name.startswith("data/")}
    for tensor in oracle.tensors_in(on_meta):
        if tensor.device.type != "meta":
            failures.append("a tensor is on %s" % tensor.device)
        elif tensor.untyped_storage()._checkpoint_offset not in places:
            failures.append("on the meta device a storage is said to lie at %d" % tensor.untyped_storage()._checkpoint_offset)
    return failures


# ---------------------------------------------------------------------------------------------------------------- structure

class Archive:
    """The headers of a zip archive with zip64 end records, as they stand there."""

    def __init__(self, data):
        end = struct.unpack("<4s4H2IH", data[-22:])
        end64 = struct.unpack("<4sQ2H2I4Q", data[-98:-42])
        locator = struct.unpack("<4sIQI", data[-42:-22])
        count, size, offset = end64[7:10]
        self.end = [end[0], end[1:3], end[3:5] == (min(count, 0xFFFF),) * 2, end[5:7] == (min(size, WIDE), min(offset, WIDE)), end[7],
                    end64[:6], end64[6] == count, locator[0], locator[1], locator[2] == offset + size == len(data) - 98, locator[3]]
        self.records = []
        for _ in range(count):
            name_size, extra_size, comment_size = struct.unpack_from("<3H", data, offset + 28)
            stop = offset + 46 + name_size + extra_size + comment_size
            self.records.append(Record(data, data[offset:stop], name_size, extra_size))
            offset = stop
        self.whole = offset == len(data) - 98
        ends = [0] + [r.end for r in self.records]
        self.gaps = [r.name for r, begin in zip(self.records, ends) if r.offset != begin] + (
            [] if ends[-1] == end64[9] else ["the directory"])


class Record:
    def __init__(self, data, central, name_size, extra_size):
        self.name = central[46:46 + name_size].decode()
        self.size, self.offset = struct.unpack_from("<I", central, 24)[0], struct.unpack_from("<I", central, 42)[0]
        local_name, local_extra = struct.unpack_from("<HH", data, self.offset + 26)
        begin = self.offset + 30 + local_name
        self.data_offset = begin + local_extra
        data_end = self.data_offset + self.size
        self.end = data_end + (16 if central[8] & 8 else 0)
        extra, filler = data[begin:self.data_offset], local_extra - 4
        # Of what follows, CRC and size depend on the data, and the length of the filler on where the record lies.
        self.content = [central[16:28], data[data_end:self.end]]
        self.dates = {data[self.offset + 10:self.offset + 14], central[12:16]}
        self.structure = {
            "name": self.name, "local name": data[self.offset + 30:begin].decode(), "padding": extra == b"FB" + struct.pack("<H", filler) + b"Z" * filler,
            "aligned": self.data_offset % 64, "least padding": filler < 64, "local header": (data[self.offset:self.offset + 10], data[self.offset + 14:self.offset + 26]),
            "directory header": (central[:12], central[30:42]), "extra": central[46 + name_size:],
            "CRC": data[data_end + 4:self.end] == central[16:28] if self.size else central[16:20] == bytes(4), "signature": data[data_end:min(self.end, data_end + 4)]}


def structure_failures(path):
    """Records, headers and end of the file against those of torch.save for the same object."""
    import torch
    twin = io.BytesIO()
    torch.save(torch.load(path, weights_only=True), twin)      # a buffer has no name: the folder inside is `archive`, as in ours
    ours, theirs = Archive(path.read_bytes()), Archive(twin.getvalue())
    failures = []
    if [r.name for r in ours.records] != [r.name for r in theirs.records] + [OURS]:
        return ["other records: %s" % ([r.name for r in ours.records][:8])]
    for a, b in zip(ours.records, theirs.records):
        failures += ["%s: %s differs" % (a.name, what) for what in a.structure if a.structure[what] != b.structure[what]]
        if a.name.startswith("archive/data/") and a.content != b.content:
            failures.append("%s: CRC or size differs" % a.name)
        if a.dates != {WRITTEN_BEFORE}:
            failures.append("%s: another date" % a.name)
    like = dict(ours.records[0].structure, **{"name": OURS, "local name": OURS})
    failures += ["%s: %s differs" % (OURS, what) for what in like if ours.records[-1].structure[what] != like[what]]
    if ours.end != theirs.end or not ours.whole:
        failures.append("the end differs: %s, %s" % (ours.end, theirs.end))
    return failures + ["bytes before %s" % name for name in ours.gaps]


def check(source):
    result = {"label": source.label, "group": source.group, "failures": []}
    with tempfile.TemporaryDirectory() as folder:
        for layout in ("keep", "clean"):
            out = pathlib.Path(folder, layout + ".pth")
            status, message = oracle.convert(source.path, out, "--layout", layout)
            failures = ["exit %s: %s" % (status, message)] if status else offset_failures(out) + load_failures(out) + structure_failures(out)
            result["failures"] += ["layout %s: %s" % (layout, failure) for failure in failures]
    return result


def main():
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            found = oracle.cases(sys.argv[1])
        else:
            found = [c for name in CASES for c in oracle.cases(name)]
        sources = [Source(c.load().file, c.group, c.label) for c in found]
        if len(sys.argv) == 1:
            sources += made_sources(folder)
        return oracle.report(oracle.run_checks(check, sources))


if __name__ == "__main__":
    sys.exit(main())
