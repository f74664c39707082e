"""Makes the two fonts of this folder from DejaVu Sans 2.37: python subset.py <folder with DejaVuSans.ttf> (needs fonttools).

Three changes serve the rasteriser of plotters, which measures text in lines of 1.24 em and drops the space left of a glyph's ink:
the line height becomes 1.24 em, every inked glyph gets a contour without area at the origin, and kerning stays in its oldest table.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.ttGlyphPen import TTGlyphPen

RANGES = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x2C6, 0x2DD), (0x391, 0x3A9), (0x3B1, 0x3C9), (0x3D1, 0x3D6), (0x2010, 0x2027), (0x2030, 0x203A),
    (0x2070, 0x209C), (0x20AC, 0x20AC), (0x2102, 0x2102), (0x210D, 0x211D), (0x2126, 0x2126), (0x2190, 0x2199), (0x21D0, 0x21D5),
    (0x2200, 0x2213), (0x2215, 0x222B), (0x2234, 0x223D), (0x2243, 0x2265), (0x226A, 0x226B), (0x2282, 0x228B), (0x2295, 0x2299),
    (0x22A5, 0x22A5), (0x22C0, 0x22C6), (0x22EE, 0x22EF), (0x25A0, 0x25A1), (0x25B2, 0x25BD), (0x25C6, 0x25CF), (0x2605, 0x2606),
    (0x2713, 0x2718), (0xFFFD, 0xFFFD),
]
LINE = 1.24


def anchored(glyph_set, name):
    """The glyph with an invisible contour at the origin, so that its bounding box starts there."""
    drawing, pen = DecomposingRecordingPen(glyph_set), TTGlyphPen(None)
    glyph_set[name].draw(drawing)
    if drawing.value:
        pen.moveTo((0, 0)), pen.lineTo((0, 1)), pen.closePath()
    drawing.replay(pen)
    return pen.glyph()


def make(source, target):
    options = subset.Options(layout_features=[], hinting=False, recalc_bounds=True, legacy_kern=True, notdef_outline=True)
    options.drop_tables = ["FFTM", "GDEF", "GPOS", "GSUB", "MATH", "gasp"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13]
    font = subset.load_font(str(source), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[code for first, last in RANGES for code in range(first, last + 1)])
    subsetter.subset(font)
    glyph_set = font.getGlyphSet()
    glyphs = {name: anchored(glyph_set, name) for name in font.getGlyphOrder()}
    for name, glyph in glyphs.items():
        font["glyf"][name] = glyph
        font["hmtx"][name] = (font["hmtx"][name][0], min(0, font["hmtx"][name][1]))
    em = font["head"].unitsPerEm
    font["hhea"].ascent = round(LINE * em) + font["hhea"].descent
    subset.save_font(font, str(target), options)
    print(target, target.stat().st_size, len(glyphs))


if __name__ == "__main__":
    here = Path(__file__).parent
    for weight in ["DejaVuSans", "DejaVuSans-Bold"]:
        make(Path(sys.argv[1]) / f"{weight}.ttf", here / f"{weight}-subset.ttf")
