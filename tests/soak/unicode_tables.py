#!/usr/bin/env python3
"""Writes models/tokens/unicode_tables.c: pip install unicodedata2==16.0.0; tests/soak/unicode_tables.py > FILE

The data are those of UnicodeData.txt and CompositionExclusions.txt, as the package unicodedata2 has them."""
import unicodedata2 as unicode

CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def ranges(kind_of):
    """(first, last, kind) of runs of codes with one kind that is not empty."""
    runs = []
    for code in CODES:
        kind = kind_of(code)
        if kind and runs and runs[-1][1] == code - 1 and runs[-1][2] == kind:
            runs[-1][1] = code
        elif kind:
            runs.append([code, code, kind])
    return runs


def category(letter):
    return lambda code: unicode.category(chr(code))[0] == letter


def parts(code):
    """The canonical parts of a character: one or two codes, or none."""
    text = unicode.decomposition(chr(code))
    return [] if not text or text.startswith("<") else [int(part, 16) for part in text.split()]


def table(declaration, rows):
    print(f"\n{declaration} = {{")
    line = "   "
    for row in rows:
        if len(line) + len(row) + 2 > 120:
            print(line)
            line = "   "
        line += f" {row},"
    print(line + "\n};")


def counted(kind, name, rows):
    table(f"const {kind} weir_{name}[]", rows)
    print(f"const size_t weir_n_{name} = sizeof weir_{name} / sizeof *weir_{name};")


apart = [(code, *parts(code)) for code in CODES if parts(code)]
joins = sorted((row[1], row[2], at) for at, row in enumerate(apart)
               if len(row) == 3 and unicode.normalize("NFC", chr(row[1]) + chr(row[2])) == chr(row[0]))

print(f"""/* Of Unicode {unicode.unidata_version}: letters and numbers (general categories L* and N*), canonical parts and combining classes.  The
 * syllables of Hangul are left out: models/tokens/nfc.c computes them.  Written by tests/soak/unicode_tables.py. */
#include "models/tokens/unicode_tables.h\"""")
counted("struct weir_code_range", "letters", [f"{{{a:#x}, {b:#x}}}" for a, b, _ in ranges(category("L"))])
counted("struct weir_code_range", "numbers", [f"{{{a:#x}, {b:#x}}}" for a, b, _ in ranges(category("N"))])
counted("struct weir_code_class", "mark_classes",
        [f"{{{a:#x}, {b:#x}, {c}}}" for a, b, c in ranges(lambda code: unicode.combining(chr(code)))])
counted("struct weir_code_parts", "code_parts",
        [f"{{{row[0]:#x}, {row[1]:#x}, {row[2] if len(row) == 3 else 0:#x}}}" for row in apart])
counted("uint16_t", "code_joins", [str(at) for _, _, at in joins])
counted("uint32_t", "join_seconds", [f"{code:#x}" for code in sorted({second for _, second, _ in joins})])
