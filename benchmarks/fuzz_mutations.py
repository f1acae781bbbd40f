"""Changes of good files that keep their form, so that readers get beyond the first bytes."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random

Mutation = Callable[[bytes, Random], bytes]

NUMBERS = (
    b"0", b"-1", b"-2880", b"1", b"255", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e308",
    b"1e-320", b"nan", b"inf", b"-0.0", b"0x10", b"1" * 5000,
)  # fmt: skip
BYTES = (b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r\n", b'"', b"'", b"{", b"[", b"\\", b"../", b" " * 80)
SHORT = 1 << 16  # longer inputs only cost time
PNG = b"\x89PNG\r\n\x1a\n"
CARD, BLOCK = 80, 2880  # of FITS
NEW = (  # cards that a header may get
    "BSCALE BZERO BLANK A_ORDER AP_ORDER NAXIS NAXIS3 PV2_1 CTYPE3 BUNIT DQERR1 CPDIS1 TELESCOP SURVEY FILTER EXTVER "
    "INHERIT BAND0 GCOUNT PCOUNT ZIMAGE LONPOLE"
).split()


def of_bytes(words: Sequence[bytes] = ()) -> Mutation:
    """One to four small changes anywhere: bits, slices, numbers in digits, and the ``words`` of a format."""
    known = (*words, *BYTES)

    def changed(content: bytes, random: Random) -> bytes:
        for _ in range(random.randint(1, 4)):
            content = random.choice((_flip, _flip, _cut, _double, _number, _number, _word))(content, random, known)
        return content[:SHORT]

    return changed


def _flip(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    if not content:
        return content
    at = random.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def _cut(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start, end = _slice(content, random)
    return content[:start] + content[end:]


def _double(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start, end = _slice(content, random)
    at = random.randint(0, len(content))
    return content[:at] + content[start:end] * random.choice((1, 1, 2, 50)) + content[at:]


def _number(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    start = random.randint(0, len(content))
    found = re.search(rb"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", content[start : start + 400])
    if not found:
        return content
    return content[: start + found.start()] + random.choice(NUMBERS) + content[start + found.end() :]


def _word(content: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    word, at = random.choice(words), random.randint(0, len(content))
    return content[:at] + word + content[at + random.choice((0, len(word))) :]


def _slice(content: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(content))
    return start, min(len(content), start + random.choice((1, 4, 16, 80, 500, len(content))))


def of_png(content: bytes, random: Random) -> bytes:
    """Bytes changed, check sums right again."""
    changed = of_bytes((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"iCCP", b"zTXt", b"acTL", b"eXIf"))(content, random)
    if not changed.startswith(PNG):
        return changed
    whole, at = bytearray(changed), len(PNG)
    while at + 12 <= len(whole):
        (length,) = struct.unpack_from(">I", whole, at)
        if at + 12 + length > len(whole):
            break
        struct.pack_into(">I", whole, at + 8 + length, zlib.crc32(whole[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(whole)


def of_npy(content: bytes, random: Random) -> bytes:
    """The text of the header changed, its length right again; or any bytes."""
    if content[:6] != b"\x93NUMPY" or len(content) < 10 or random.random() < 0.3:
        return of_bytes()(content, random)
    (length,) = struct.unpack_from("<H", content, 8)
    words = (
        b"'<f4'",
        b"'|O'",
        b"'>f8'",
        b"'<U9'",
        b"'<M8[s]'",
        b"[('a','<f4')]",
        b"True",
        b"()",
        b"(-1,)",
        b"(1<<60,)",
    )
    header = of_bytes(words)(content[10 : 10 + length].rstrip(), random)[:60000]
    padded = header + b" " * (-(len(header) + 11) % 64) + b"\n"
    return content[:8] + struct.pack("<H", len(padded)) + padded + content[10 + length :]


def of_fits(content: bytes, random: Random) -> bytes:
    """Cards replaced, removed, doubled or given another value, in whole blocks; or any bytes."""
    if random.random() < 0.2:
        return of_bytes()(content, random)
    lines = [content[at : at + CARD] for at in range(0, len(content), CARD)]
    cards = [number for number, line in enumerate(lines) if line[8:10] == b"= "]
    if not cards:
        return of_bytes()(content, random)
    for _ in range(random.randint(1, 3)):
        at = random.choice(cards)
        key, value = lines[at][:8], random.choice((*NUMBERS[:-1], b"'x'", b"'", b"T", b"F", b"", b"(1,2)", b"1 / 'a"))
        lines[at] = random.choice(
            (
                key + b"= " + value.rjust(20),
                key + b"= " + lines[random.choice(cards)][10:],
                lines[random.choice(cards)],
                b"CONTINUE  '&'",
                b"HIERARCH " + lines[at],
                lines[at][:30] + bytes(random.choices(range(256), k=4)) + lines[at][34:],
                b"END",
                _new_card(random),
            )
        )[:CARD].ljust(CARD)
    whole = b"".join(lines)
    return whole + b" " * (-len(whole) % BLOCK)


def _new_card(random: Random) -> bytes:
    key = random.choice(NEW)
    value = random.choice(
        (*(number.decode() for number in NUMBERS[:-1]), "'RA---TPV'", "'mag'", "'Lookup'", "T", "'V'")
    )
    return f"{key:8}= {value}".encode()


def of_zip(member: Mutation, compression: int) -> Mutation:
    """One member changed and packed again with its right check sum; or any bytes."""

    def changed(content: bytes, random: Random) -> bytes:
        if random.random() < 0.2:
            return of_bytes((b"PK\1\2", b"PK\5\6"))(content, random)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = {info.filename: archive.read(info) for info in archive.infolist()[:40]}
        except Exception:  # changed before
            return of_bytes()(content, random)
        if not members:
            return content
        name = random.choice(sorted(members))
        members[name] = member(members[name], random)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, each in members.items():
                archive.writestr(name, each)
        return buffer.getvalue()

    return changed
