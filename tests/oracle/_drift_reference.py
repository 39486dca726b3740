"""What `torchferry diff` has to say of two tensors, computed by numpy in long double.

    drift(before, after)            two torch tensors, or two of `Raw(dtype_name, bytes)`, of as many elements
    disagreements(got, expected)    what differs in figures that both have, beyond rounding

Distances are taken over pairs of finite numbers; complex numbers count as one element. The types are decoded by their definitions here and
by nothing of the project.
"""
import collections
import math

import numpy

Raw = collections.namedtuple("Raw", "dtype data")
Floating = collections.namedtuple("Floating", "word significand exponent_min nan")    # significand bits with the leading 1

LONG = numpy.longdouble
INTEGERS = {"uint8": "u1", "quint8": "u1", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8", "int8": "i1", "qint8": "i1", "int16": "<i2",
            "int32": "<i4", "qint32": "<i4", "int64": "<i8", "bool": "u1"}
FLOATING = {"float16": Floating("<u2", 11, -14, "ieee"), "bfloat16": Floating("<u2", 8, -126, "ieee"),
            "float32": Floating("<u4", 24, -126, "ieee"), "float64": Floating("<u8", 53, -1022, "ieee"),
            "float8_e5m2": Floating("u1", 3, -14, "ieee"), "float8_e4m3fn": Floating("u1", 4, -6, "all ones"),
            "float8_e5m2fnuz": Floating("u1", 3, -15, "minus zero"), "float8_e4m3fnuz": Floating("u1", 4, -7, "minus zero"),
            "float8_e8m0fnu": Floating("u1", 1, -127, "power")}
COMPLEX = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
COUNTS = ("elements", "bits_differing", "bits_flipped", "differing", "zero_signs", "nans_before", "nans_after", "infinities_before",
          "infinities_after", "nans_both", "nan_payloads", "nonfinite_mismatches", "finite")
RTOLS = (0.0, 1e-12, 1e-7, 1.3e-6, 1e-3, 0.1, 1.0, 100.0)


# ---------------------------------------------------------------------------------------------------------------- numbers

def raw(tensor):
    """The little-endian bytes of a torch tensor, in row-major order."""
    import torch
    if isinstance(tensor, Raw):
        return tensor
    tensor = tensor.detach().cpu().contiguous().reshape(-1)
    tensor = tensor.as_strided((tensor.numel(),), (1,), tensor.storage_offset())    # one element is contiguous with any stride
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_quantized:
        tensor = tensor.int_repr()
    return Raw(name, tensor.view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")


def component(dtype):
    return COMPLEX.get(dtype, dtype)


def decode_floating(kind, words):
    words = words.astype(numpy.uint64)
    if kind.nan == "power":
        return numpy.where(words == 255, LONG("nan"), numpy.ldexp(LONG(1), words.astype(numpy.int64) - 127))
    width, fraction_bits = 8 * numpy.dtype(kind.word).itemsize, kind.significand - 1
    magnitude = words & numpy.uint64((1 << (width - 1)) - 1)
    negative = (words >> numpy.uint64(width - 1)) != 0
    exponent = (magnitude >> numpy.uint64(fraction_bits)).astype(numpy.int64)
    fraction = (magnitude & numpy.uint64((1 << fraction_bits) - 1)).astype(LONG)
    leading = numpy.where(exponent > 0, LONG(1 << fraction_bits), LONG(0))
    value = numpy.ldexp(leading + fraction, numpy.maximum(exponent, 1) - 1 + kind.exponent_min - fraction_bits)
    if kind.nan == "ieee":
        top = (1 << (width - 1 - fraction_bits)) - 1
        value = numpy.where(exponent == top, numpy.where(fraction == 0, LONG("inf"), LONG("nan")), value)
    elif kind.nan == "all ones":
        value = numpy.where(magnitude == numpy.uint64((1 << (width - 1)) - 1), LONG("nan"), value)
    else:
        value = numpy.where(negative & (magnitude == 0), LONG("nan"), value)
    return numpy.where(negative, -value, value)


def decode(tensor):
    """Parts of all elements: an array (n, 1) or, of complex numbers, (n, 2)."""
    name = component(tensor.dtype)
    if name in INTEGERS:
        numbers = numpy.frombuffer(tensor.data, INTEGERS[name])
        numbers = (numbers != 0 if name == "bool" else numbers).astype(LONG)
    else:
        numbers = decode_floating(FLOATING[name], numpy.frombuffer(tensor.data, FLOATING[name].word))
    return numbers.reshape(-1, 2 if tensor.dtype in COMPLEX else 1)


def element_bytes(tensor, count):
    return numpy.frombuffer(tensor.data, numpy.uint8).reshape(count, len(tensor.data) // count if count else 1)


# ---------------------------------------------------------------------------------------------------------------- ULP

def scale_of(before, after):
    """The floating type on whose scale distances are taken; None of two integer types."""
    kinds = [FLOATING[component(name)] for name in (before, after) if component(name) in FLOATING]
    return min(kinds, key=lambda kind: (kind.significand, -kind.exponent_min)) if kinds else None


def place(kind, sizes):
    """Numbers of `kind` between 0 and each size, as whole parts and fractions; exponents have no upper end."""
    exponent = numpy.where(sizes == 0, kind.exponent_min - 1, numpy.frexp(sizes)[1].astype(numpy.int64) - 1)
    normal = exponent >= kind.exponent_min
    steps = numpy.ldexp(sizes, kind.significand - 1 - numpy.where(normal, exponent, kind.exponent_min))
    below = numpy.where(normal, exponent - kind.exponent_min, 0).astype(numpy.uint64) << numpy.uint64(kind.significand - 1)
    whole = numpy.floor(steps)
    return below + whole.astype(numpy.uint64), (steps - whole).astype(numpy.float64)


def ulps(kind, before, after):
    """Whole parts and fractions of the distances of finite numbers."""
    if kind is None:
        return numpy.minimum(abs(after - before), LONG(2) ** 64 - 1).astype(numpy.uint64), numpy.zeros(len(before))
    (b, b_part), (a, a_part) = place(kind, abs(before)), place(kind, abs(after))
    swap = (b < a) | ((b == a) & (b_part < a_part))
    far, far_part = numpy.where(swap, a, b), numpy.where(swap, a_part, b_part)
    near, near_part = numpy.where(swap, b, a), numpy.where(swap, b_part, a_part)
    borrow = far_part < near_part
    along_part = numpy.where(borrow, 1 - (near_part - far_part), far_part - near_part)
    along = far - near - borrow.astype(numpy.uint64)
    across = numpy.signbit(before) != numpy.signbit(after)
    total = b_part + a_part
    whole = numpy.where(across, b + a + (total >= 1).astype(numpy.uint64), along)
    fraction = numpy.where(across, total - (total >= 1), along_part)
    return whole + (fraction == 1).astype(numpy.uint64), numpy.where(fraction == 1, 0.0, fraction)


def histogram(whole, fraction):
    bins = [0] * 67
    for count, part in zip(whole.tolist(), fraction.tolist()):
        up = count + (part > 0)                    # 0, then (0, ½], (½, 1], (1, 2], (2, 4] …
        bins[0 if up == 0 else 1 if count == 0 and part <= 0.5 else 2 + (up - 1).bit_length()] += 1
    return bins


# ---------------------------------------------------------------------------------------------------------------- figures

def differences(before, after, b, a):
    """after − before of finite parts in float64, rounded once where both are integers or neither has 64 bits."""
    names = component(before.dtype), component(after.dtype)
    if not any(name in ("int64", "uint64") for name in names):
        rounded = (a.astype(numpy.float64) - b.astype(numpy.float64)).astype(LONG)
        return numpy.where(numpy.isfinite(rounded), rounded, a - b)    # sums hold differences that no double does
    if all(name in INTEGERS for name in names):
        exact = [float(int(y) - int(x)) for x, y in zip(b.reshape(-1), a.reshape(-1))]
        return numpy.array(exact, LONG).reshape(b.shape)
    return (a - b).astype(numpy.float64).astype(LONG)


def least_atol(sizes, distances, rtol):
    return float(max([LONG(0), *[(distances - LONG(rtol) * sizes).max()]])) if len(sizes) else 0.0


def figures(before, after, b, a, kind):
    d = differences(before, after, b, a)
    sizes, distances = (numpy.hypot(v[:, 0], v[:, 1]) if b.shape[1] > 1 else abs(v[:, 0]) for v in (b, d))
    sizes, distances = numpy.minimum(sizes, LONG(numpy.finfo(numpy.float64).max)), distances.astype(numpy.float64)
    sizes = sizes.astype(numpy.float64)            # a modulus may be larger than any double; it then counts as the largest one
    dd, bb, aa, ba = ((x * y).sum(dtype=LONG) for x, y in ((d, d), (b, b), (a, a), (b, a)))
    parts = [ulps(kind, b[:, i], a[:, i]) for i in range(b.shape[1])]
    whole, fraction = parts[0]
    if len(parts) > 1:
        second = (parts[1][0] > whole) | ((parts[1][0] == whole) & (parts[1][1] > fraction))
        whole, fraction = numpy.where(second, parts[1][0], whole), numpy.where(second, parts[1][1], fraction)
    largest = whole.max() if len(whole) else 0
    nonzero, n = sizes > 0, len(sizes)
    return {
        "max_abs": float(distances.max()) if n else 0.0,
        "max_rel": float((distances[nonzero] / sizes[nonzero]).max()) if nonzero.any() else 0.0,
        "max_ulp": int(largest), "max_ulp_fraction": float(fraction[whole == largest].max()) if n else 0.0,
        "ulps": histogram(whole, fraction),
        "rms": float(numpy.sqrt(dd / n)) if n else 0.0,
        "relative_frobenius": 0.0 if dd == 0 else float(numpy.sqrt(dd / bb)),
        "cosine": 1.0 if dd == 0 else math.nan if bb == 0 or aa == 0 else float(ba / (numpy.sqrt(bb) * numpy.sqrt(aa))),
        "snr_db": math.inf if dd == 0 else float(10 * numpy.log10(bb / dd)),
        "mean_difference": float(d[:, 0].sum(dtype=LONG) / n) if n else 0.0,
        "mean_size": float(abs(d[:, 0]).sum(dtype=LONG) / n) if n else 0.0,    # what the rounding of the mean is measured against
        "least_atol": {rtol: least_atol(sizes, distances, rtol) for rtol in RTOLS},
    }, distances


def drift(before, after):
    before, after = raw(before), raw(after)
    b, a = decode(before), decode(after)
    if b.shape[1] != a.shape[1]:                   # a real number beside a complex one has the imaginary part 0
        b, a = (v if v.shape[1] == 2 else numpy.concatenate([v, numpy.zeros_like(v)], 1) for v in (b, a))
    one_type, count = before.dtype == after.dtype, len(b)
    nan_b, nan_a = numpy.isnan(b).any(1), numpy.isnan(a).any(1)
    inf_b, inf_a = numpy.isinf(b).any(1) & ~nan_b, numpy.isinf(a).any(1) & ~nan_a
    equal, both = (b == a).all(1), nan_b & nan_a
    differs = ~equal & ~both
    flips = element_bytes(before, count) ^ element_bytes(after, count) if one_type else numpy.zeros((count, 1), numpy.uint8)
    unequal = flips.any(1)
    finite = ~(nan_b | nan_a | inf_b | inf_a)
    mismatched = differs & ~finite
    with numpy.errstate(all="ignore"):
        result, distances = figures(before, after, b[finite], a[finite], scale_of(before.dtype, after.dtype))
    signs = (numpy.signbit(b) != numpy.signbit(a)).any(1)
    counts = (count, (unequal if one_type else differs).sum(), numpy.unpackbits(flips).sum(), differs.sum(), (equal & signs).sum(),
              nan_b.sum(), nan_a.sum(), inf_b.sum(), inf_a.sum(), both.sum(), (both & unequal).sum(), mismatched.sum(), finite.sum())
    result.update(zip(COUNTS, map(int, counts)))
    result["worst"] = None
    if mismatched.any():
        result["worst"] = int(numpy.flatnonzero(mismatched)[0])
    elif differs.any():
        result["worst"] = int(numpy.flatnonzero(finite)[int(distances.argmax())])
    result["complex"] = b.shape[1] > 1
    return result


# ---------------------------------------------------------------------------------------------------------------- comparing

def near(got, expected, ulp, scale=None):
    """Within `ulp` units of a double of the size of `scale`."""
    if got == expected or (math.isnan(got) and math.isnan(expected)):
        return True
    scale = abs(expected) if scale is None else scale
    return math.isfinite(got) and math.isfinite(scale) and abs(got - expected) <= ulp * math.ulp(scale)


def disagreements(got, expected):
    """One line for each figure of `got` that is not as expected. Figures that either lacks are not looked at."""
    moduli = 2 if expected["complex"] else 0       # moduli are rounded to within 1 ULP, other distances exact
    tolerances = {"max_abs": moduli, "max_rel": 2 * moduli, "rms": 1, "relative_frobenius": 2}
    lines = []
    for name in sorted(set(got) & set(expected) - {"complex", "mean_size"}):
        value, truth = got[name], expected[name]
        if name == "least_atol":
            fine = all(near(value[rtol], truth[rtol], 4, expected["max_abs"]) for rtol in value if rtol in truth)
        elif name == "mean_difference":
            fine = near(value, truth, 2, expected["mean_size"])
        elif name == "cosine":
            fine = near(value, truth, 2, 1.0)
        elif name == "snr_db":
            fine = near(value, truth, 4, max(abs(truth), 4.0))    # the logarithm of a ratio near 1 shows its rounding
        elif name == "worst" and expected["complex"] and not expected["nonfinite_mismatches"]:
            fine = (value is None) == (truth is None)
        elif name in tolerances:
            fine = near(value, truth, tolerances[name])
        else:
            fine = value == truth
        if not fine:
            lines.append("%s: %r, expected %r" % (name, value, truth))
    return lines
