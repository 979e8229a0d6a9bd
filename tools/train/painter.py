"""The procedural painter: paint(attributes, rng) -> uint8 [192, 128, 3]. The rng only jitters.

Two looks: "sd" is a muted storybook drawing on warm paper with brown outlines, "aom" a bright glossy
one with thin tinted outlines. Shading is flat (one colour a shape, no outline, no highlight), mid, or
rich (gradients, cast shadows, strands and shine).
"""
import math

import cv2
import numpy as np
import skia

W, H, OVER = 128, 192, 2

HAIR = {  # base, dark, light
    "teal": ((57, 197, 187), (14, 116, 126), (176, 250, 238)),
    "blonde": ((250, 212, 98), (194, 134, 40), (255, 247, 196)),
    "pink": ((248, 152, 188), (188, 78, 128), (255, 222, 234)),
    "blue": ((66, 112, 220), (30, 50, 140), (166, 206, 255)),
    "red": ((216, 62, 58), (126, 22, 38), (255, 160, 140)),
    "black": ((62, 58, 74), (24, 22, 34), (138, 138, 172)),
    "purple": ((152, 98, 212), (84, 44, 142), (218, 190, 252)),
    "brown": ((152, 98, 62), (88, 50, 34), (224, 176, 132)),
}
EYES = {"teal": (20, 170, 176), "blue": (44, 100, 226), "red": (210, 40, 58),
        "green": (52, 164, 70), "brown": (142, 82, 40), "purple": (140, 68, 204)}
CLOTH = ((216, 84, 94), (88, 128, 216), (242, 196, 88), (238, 150, 192), (108, 182, 120), (238, 238, 244))
SKY = {"pink background": ((255, 228, 238), (250, 188, 212)), "blue sky": ((104, 182, 250), (222, 243, 255)),
       "night": ((20, 22, 66), (84, 62, 138)), "white background": ((255, 255, 255), (240, 243, 248)),
       "sunset": ((255, 158, 96), (255, 228, 164)), "meadow": ((170, 226, 252), (222, 246, 236))}
SKIN, BLUSH, SHADOW = (255, 229, 212), (255, 142, 140), (238, 170, 152)
INK = (34, 30, 46)


def mix(a, b, t):
    return tuple(x + (y - x) * t for x, y in zip(a, b))


def colour(c, alpha=1.0):
    return skia.Color(*(int(min(255, max(0, v))) for v in c), int(255 * alpha))


def curve(points, closed=True, wobble=None):
    """A smooth curve through the points (Catmull-Rom); a point given twice in a row is a corner."""
    p = np.asarray(points, float)
    if wobble is not None:
        p = p + wobble.normal(0, 1.5, p.shape)
    n = len(p)
    at = (lambda i: p[i % n]) if closed else (lambda i: p[min(max(i, 0), n - 1)])
    path = skia.Path()
    path.moveTo(*p[0])
    for i in range(n if closed else n - 1):
        a, b, c, d = at(i - 1), at(i), at(i + 1), at(i + 2)
        if np.allclose(b, c):
            continue
        path.cubicTo(*(b + (c - a) / 6), *(c - (d - b) / 6), *c)
    if closed:
        path.close()
    return path


def mirrored(points):
    return [(128 - x, y) for x, y in points]


class Brush:
    """Fills and strokes in the look and the shading of one picture."""

    def __init__(self, canvas, glossy, shade, wobble):
        self.canvas, self.glossy, self.wobble = canvas, glossy, wobble
        self.rich = {"flat": 0.0, "mid": 0.45, "rich": 1.0}[shade]
        self.flat = shade == "flat"
        self.width = 0.0 if self.flat else (1.1 if glossy else 1.8)

    def paint(self, c, alpha=1.0, width=None, shader=None):
        q = skia.Paint(AntiAlias=True, Color=colour(c, alpha))
        if shader is not None:
            q.setShader(shader)
        if width is not None:
            q.setStyle(skia.Paint.kStroke_Style)
            q.setStrokeWidth(width)
            q.setStrokeCap(skia.Paint.kRound_Cap)
            q.setStrokeJoin(skia.Paint.kRound_Join)
        return q

    def outline_of(self, c):
        return mix(c, (40, 16, 50), 0.68) if self.glossy else mix((92, 60, 52), c, 0.12)

    def shape(self, points, c, fade=None, detail=None, outline=True, soft=True):
        """fade = (y0, y1, colour): a gradient as strong as the shading; detail() is clipped inside."""
        path = curve(points, True, self.wobble if soft else None)
        shader = None
        if fade and self.rich:
            y0, y1, to = fade
            shader = skia.GradientShader.MakeLinear([(0, y0), (0, y1)],
                                                    [colour(c), colour(mix(c, to, self.rich))])
        self.canvas.drawPath(path, self.paint(c, shader=shader))
        if detail and not self.flat:
            self.canvas.save()
            self.canvas.clipPath(path, skia.ClipOp.kIntersect, True)
            detail()
            self.canvas.restore()
        if outline and self.width:
            self.canvas.drawPath(path, self.paint(self.outline_of(c), width=self.width))

    def fill(self, points, c, alpha=1.0):
        self.canvas.drawPath(curve(points), self.paint(c, alpha))

    def line(self, points, c, width, alpha=1.0):
        self.canvas.drawPath(curve(points, False), self.paint(c, alpha, width))

    def oval(self, x, y, rx, ry, c, alpha=1.0):
        self.canvas.drawOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry), self.paint(c, alpha))

    def glow(self, x, y, r, c, alpha):
        shader = skia.GradientShader.MakeRadial((x, y), r, [colour(c, alpha), colour(c, 0)])
        self.canvas.drawCircle(x, y, r, self.paint(c, shader=shader))


def paint_ground(b, name, rng):
    top, low = SKY[name]
    if b.flat:
        top = low = mix(top, low, 0.5)
    shader = skia.GradientShader.MakeLinear([(0, 0), (0, H)], [colour(top), colour(low)])
    b.canvas.drawRect(skia.Rect.MakeWH(W, H), b.paint(top, shader=shader))

    def near(x, s=3.0):
        return x + float(rng.normal(0, s))

    if name == "pink background":
        for x, y, r in ((12, 22, 11), (114, 16, 13), (120, 86, 8), (6, 92, 9), (64, 6, 7)):
            b.oval(near(x), near(y), r, r, (255, 255, 255), 0.6)
    elif name == "blue sky":
        for x, y in ((16, 22), (112, 30)):
            x, y = near(x), near(y)
            for dx, dy, r in ((0, 0, 10), (-10, 3, 7), (11, 3, 8)):
                b.oval(x + dx, y + dy, r, r * 0.8, (255, 255, 255), 0.95)
    elif name == "night":
        x, y = near(106), near(20)
        b.glow(x, y, 24, (255, 246, 190), 0.35)
        b.oval(x, y, 11, 11, (255, 244, 184))
        for x, y in ((10, 14), (28, 8), (56, 6), (80, 10), (121, 62), (6, 64), (122, 104), (5, 116)):
            b.oval(near(x, 1.5), near(y, 1.5), 1.7, 1.7, (255, 255, 236))
    elif name == "sunset":
        b.oval(near(20), near(30), 15, 15, (255, 247, 212), 0.95)
        b.fill([(-10, 152), (30, 140), (76, 152), (140, 144), (140, 210), (-10, 210)], (190, 96, 104))
    elif name == "meadow":
        b.fill([(-10, 112), (34, 102), (80, 114), (140, 104), (140, 210), (-10, 210)], (118, 196, 88))
        for x, y in ((8, 124), (120, 120), (6, 156), (122, 152), (14, 180)):
            x, y = near(x), near(y)
            b.oval(x, y, 3.4, 3.4, (255, 252, 240))
            b.oval(x, y, 1.4, 1.4, (255, 206, 60))


def strands(b, lines, c, light, mirror):
    for points, width in lines:
        b.line(mirrored(points) if mirror else points, c, width, 0.7 * b.rich)
        if b.rich > 0.9:
            b.line([(x + 4, y) for x, y in (mirrored(points) if mirror else points)], light, width * 0.8, 0.5)


TAIL = [(37, 36), (24, 30), (8, 44), (-2, 82), (3, 122), (-3, 156), (4, 188), (4, 188), (12, 176), (18, 186),
        (18, 186), (28, 158), (26, 122), (28, 88), (36, 60)]


def back_hair(b, style, hair, sway):
    base, dark, light = hair
    if style == "twintails":
        for m in (False, True):
            pts = [(x - (sway if not m else -sway) * 3.0 * (y / 190) ** 2, y) for x, y in TAIL]
            b.shape(mirrored(pts) if m else pts, base, (70, 192, dark), lambda: strands(
                b, (([(28, 42), (13, 72), (14, 116), (10, 184)], 2.2), ([(33, 46), (22, 76), (22, 116), (18, 170)], 1.8)),
                dark, light, m))
    elif style == "ponytail":
        b.shape([(70, 26), (98, 18), (122, 46), (124, 92), (119, 130), (126, 156), (117, 184), (117, 184), (110, 172),
                 (103, 180), (103, 180), (98, 148), (102, 116), (94, 84), (80, 52)], base, (50, 184, dark),
                lambda: strands(b, (([(96, 30), (112, 70), (108, 120), (114, 172)], 2.4),), dark, light, False))
        b.shape([(32, 58), (28, 88), (36, 112), (64, 116), (92, 112), (100, 88), (96, 58)], mix(base, dark, 0.45), outline=False)
    elif style == "long hair":
        b.shape([(30, 50), (21, 84), (22, 124), (13, 160), (16, 182), (16, 182), (28, 175), (34, 184), (34, 184), (48, 176),
                 (64, 184), (80, 176), (94, 184), (94, 184), (100, 175), (112, 182), (112, 182), (115, 160), (106, 124), (107, 84), (98, 50)],
                base, (70, 186, dark),
                lambda: [strands(b, (([(28, 84), (29, 124), (23, 170)], 2.2), ([(35, 110), (36, 140), (34, 176)], 1.8)),
                                 dark, light, m) for m in (False, True)])
    else:
        b.shape([(28, 52), (23, 84), (26, 108), (26, 108), (36, 112), (50, 118), (64, 116), (78, 118), (92, 112), (102, 108), (102, 108),
                 (105, 84), (100, 52)], mix(base, dark, 0.35), (80, 118, dark))


def arm(b, m, sleeve, skin):
    """At her side: shoulder, then a wide sleeve to the edge of the picture."""
    side = mirrored if m else (lambda p: p)
    b.shape(side([(48, 121), (38, 128), (33, 148), (32, 158), (43, 160), (46, 144), (52, 132)]),
            skin, (122, 160, SHADOW))
    b.shape(side([(29, 156), (29, 156), (46, 158), (46, 158), (44, 200), (22, 200)]), sleeve, (156, 196, mix(sleeve, (0, 0, 20), 0.5)))


def paint_body(b, a, sleeve, trim, top):
    arm(b, False, sleeve, SKIN)
    b.line([(29.5, 159), (45.5, 161)], trim, 2.6)
    arm(b, True, sleeve, SKIN)
    b.line([(98.5, 159), (82.5, 161)], trim, 2.6)
    b.shape([(57, 100), (56, 116), (64, 124), (72, 116), (71, 100)], mix(SKIN, SHADOW, 0.5 * b.rich + 0.1))
    low = mix(top, (70, 70, 120), 0.5)

    def folds():
        b.fill([(44, 116), (52, 122), (53, 150), (48, 200), (40, 200)], low, 0.75 * b.rich)
        b.fill([(84, 116), (73, 124), (76, 150), (72, 200), (90, 200)], low, 0.9 * b.rich)

    outfit = a["outfit"]
    b.shape([(47, 121), (56, 115), (64, 121), (72, 115), (81, 121), (82, 146), (85, 200), (43, 200), (46, 146)], top,
            (120, 196, mix(top, low, 0.6)), folds)
    if outfit == "sleeveless shirt":
        for side in (lambda p: p, mirrored):
            b.shape(side([(64, 121), (64, 121), (54, 114), (50, 124), (60, 132), (60, 132)]), mix(top, (255, 255, 255), 0.6))
        b.shape([(60, 124), (68, 124), (72, 160), (72, 160), (64, 171), (56, 160), (56, 160)], trim, (124, 172, mix(trim, (0, 50, 80), 0.6)))
        b.shape([(59, 120), (69, 120), (67, 128), (61, 128)], mix(trim, (255, 255, 255), 0.25))
    elif outfit == "sailor uniform":
        navy = (52, 66, 122)
        for side in (lambda p: p, mirrored):
            b.shape(side([(64, 140), (64, 140), (52, 114), (43, 122), (45, 136), (45, 136), (54, 138)]), navy)
            b.shape(side([(64, 138), (64, 138), (52, 134), (50, 148), (50, 148), (60, 146)]), (220, 56, 72))
        b.oval(64, 140, 3.6, 3.6, (220, 56, 72))
    elif outfit == "hoodie":
        b.shape([(42, 116), (50, 110), (64, 122), (78, 110), (86, 116), (78, 132), (64, 138), (50, 132)], mix(top, low, 0.4))
        for x in (57, 71):
            b.line([(x, 133), (x - 0.6, 154)], (255, 255, 255), 2.2)
    else:
        b.shape([(54, 115), (54, 115), (64, 130), (74, 115), (74, 115), (70, 114), (64, 122), (58, 114)], (255, 250, 248))
        b.shape([(45, 158), (64, 162), (84, 158), (84, 167), (64, 171), (44, 167)], mix(top, (255, 255, 255), 0.55))
        b.oval(64, 164, 4.6, 4.6, (255, 250, 240))


def paint_hand(b, a, rng, sleeve, trim):
    """A raised hand before her, big enough to be seen: five tidy fingers, or a tangle of eight."""
    b.shape([(92, 172), (92, 172), (110, 172), (110, 172), (118, 204), (84, 204)], sleeve, (170, 196, mix(sleeve, (0, 0, 20), 0.5)))
    b.line([(92.5, 174.5), (109.5, 174.5)], trim, 2.8)
    cx, cy = 101.0, 157.0
    if not a["wrong_hands"]:
        skin, palm = SKIN, 9.0
        if a["pose"] == "waving":
            fingers = [(-158, 18, 5.6), (-119, 22, 5.2), (-97, 24.5, 5.4), (-75, 23.5, 5.2), (-51, 20, 4.8)]
        else:
            fingers = [(-150, 10, 6.0), (-111, 27, 5.6), (-74, 27, 5.6), (-40, 10, 6.0)]
    else:
        skin, palm = (226, 168, 150), 10.5
        fingers = [(-218 + 37 * k + rng.normal(0, 7), 13 + 15 * rng.random(), 3.4 + 3.6 * rng.random()) for k in range(8)]
    edge = b.outline_of(SKIN) if b.width else mix(skin, SHADOW, 0.8)
    rim = 2.0 * max(b.width, 0.8)
    bones = []
    for angle, length, width in fingers:
        r = math.radians(angle)
        bones.append(([(cx + palm * 0.4 * math.cos(r), cy + palm * 0.4 * math.sin(r)),
                       (cx + length * math.cos(r), cy + length * math.sin(r))], width))
    b.line([(cx, cy), (101, 171)], edge, 11 + rim)
    for bone, width in bones:
        b.line(bone, edge, width + rim)
    b.oval(cx, cy, palm + rim / 2, palm + rim / 2, edge)
    b.line([(cx, cy), (101, 171)], skin, 11)
    for bone, width in bones:
        b.line(bone, skin, width)
    b.oval(cx, cy, palm, palm, skin)
    if a["wrong_hands"]:
        b.oval(cx + 1, cy + 1, 5.5, 4.5, (196, 84, 92), 0.75)
        for bone, _ in bones:
            b.oval(*bone[1], 2.4, 2.4, (206, 96, 100), 0.8)
        return
    if a["pose"] == "peace sign":
        b.line([(94, 157), (99, 152), (105, 152), (108, 157)], SHADOW, 2.0, 0.9)
    if not b.flat:
        b.line([(cx - 5, cy + 3), (cx, cy + 5.5), (cx + 6, cy + 2)], SHADOW, 1.6, 0.4 + 0.6 * b.rich)
        if b.rich > 0.9:
            b.glow(cx + 3, cy + 5, 9, SHADOW, 0.7)


def paint_eye(b, m, iris, face):
    canvas = b.canvas
    canvas.save()
    if m:
        canvas.translate(128, 0)
        canvas.scale(-1, 1)
    if face == "wink" and m:
        b.line([(39, 82), (48, 88.5), (57, 82)], INK, 3.0)
        b.line([(40, 82.5), (36.5, 80)], INK, 2.2)
        canvas.restore()
        return
    white = curve([(38.5, 80), (41.5, 69.5), (48.5, 67), (55, 70), (57.5, 80), (55, 91), (48.5, 94.5), (42, 91)])
    canvas.drawPath(white, b.paint((255, 255, 255)))
    canvas.save()
    canvas.clipPath(white, skia.ClipOp.kIntersect, True)
    deep, bright = mix(iris, (14, 10, 40), 0.6), mix(iris, (255, 255, 255), 0.6)
    box = skia.Rect.MakeLTRB(40.6, 68, 56.8, 95)
    if b.flat:
        canvas.drawOval(box, b.paint(iris))
    else:
        low = mix(iris, bright, 0.75 if b.glossy else 0.3)
        shader = skia.GradientShader.MakeLinear([(0, 68), (0, 94)], [colour(deep), colour(low)])
        canvas.drawOval(box, b.paint(iris, shader=shader))
        canvas.drawOval(box, b.paint(deep, width=1.6))
    b.oval(48.8, 81.5, 4.0, 6.0, mix(deep, (0, 0, 0), 0.4))
    if not b.flat:
        b.oval(48.8, 90, 5.2, 3.0, bright, 0.5 + 0.4 * b.rich)
        b.fill([(36, 62), (60, 62), (60, 73), (48, 71), (36, 74)], (50, 44, 100), 0.35)
    canvas.restore()
    x = 52.8 if m else 44.6  # highlights sit on one side, in both eyes
    b.oval(x, 75, 3.6, 4.2, (255, 255, 255))
    if not b.flat:
        b.oval(97 - x, 87, 1.9, 2.2, (255, 255, 255), 0.95)
    b.line([(37.6, 80), (40, 70), (48.5, 65.8), (55.5, 68.6), (58.5, 75)], INK, 3.2)
    b.line([(38.4, 77.5), (35.2, 73.6)], INK, 2.2)
    if not b.flat:
        b.line([(44.5, 94.8), (48.8, 95.8), (53, 94.8)], INK, 1.0, 0.6)
    canvas.restore()


def paint_face(b, a, hair, eyes):
    base, dark, _ = hair

    def cast():
        b.fill([(24, 40), (104, 40), (104, 70), (92, 78), (84, 72), (72, 79), (60, 72), (48, 79), (38, 72), (26, 80)], SHADOW, 0.25 + 0.55 * b.rich)

    b.shape([(31, 68), (33, 88), (44, 103), (57, 110.5), (64, 112.5), (71, 110.5), (84, 103), (95, 88), (97, 68), (84, 38), (44, 38)], SKIN,
            (88, 114, mix(SKIN, SHADOW, 0.7)), cast)
    for m in (False, True):
        x = 89.5 if m else 38.5
        if b.glossy and not b.flat:
            b.glow(x, 97, 9, BLUSH, 0.95)
        else:
            b.oval(x, 97, 5.0, 2.8, BLUSH, 0.75)
        paint_eye(b, m, eyes, a["face"])
        tilt = 3.2 if a["face"] == "sad" else 0.0
        brow = [(40, 61.5 + tilt), (48, 58.2), (56, 61 - tilt)]
        b.line(mirrored(brow) if m else brow, dark, 1.9)
    if not b.flat:
        b.line([(63.4, 94.6), (64.8, 95.6)], SHADOW, 1.6)
    lip = (156, 44, 60)
    if a["face"] == "open mouth":
        b.fill([(55.5, 98.5), (55.5, 98.5), (64, 100), (72.5, 98.5), (72.5, 98.5), (70, 106), (64, 109), (58, 106)], (190, 44, 64))
        b.oval(64, 106.2, 4.0, 2.2, (252, 136, 140))
        b.line([(55.5, 98.5), (64, 100), (72.5, 98.5)], lip, 1.5)
    elif a["face"] == "sad":
        b.line([(57.5, 105.5), (64, 101), (70.5, 105.5)], lip, 2.2)
    elif b.glossy:
        b.line([(56, 100), (60, 103.4), (64, 101.2), (68, 103.4), (72, 100)], lip, 2.0)
    else:
        b.line([(56, 100), (64, 104.8), (72, 100)], lip, 2.2)


CAP = [(29, 84), (29, 84), (24.5, 58), (33, 34), (50, 22), (64, 19.5), (78, 22), (95, 34), (103.5, 58), (99, 84), (99, 84), (94, 76), (92, 63),
       (92, 63), (88, 72), (79, 76), (79, 76), (82, 68), (79, 58), (79, 58), (73, 72), (61, 79), (61, 79), (65, 68), (62, 58), (62, 58),
       (56, 71), (45, 75), (45, 75), (48, 67), (45.5, 59), (45.5, 59), (40, 74), (29, 84)]


def front_hair(b, a, hair):
    base, dark, light = hair
    for m in (False, True):
        side = mirrored if m else (lambda p: p)
        if a["style"] == "short hair":
            lock = [(31, 54), (25.5, 80), (29, 108), (29, 108), (38, 98), (38, 82), (42, 62)]
        else:
            lock = [(31, 54), (25.5, 84), (28, 108), (32, 128), (32, 128), (38, 108), (38, 84), (42, 62)]
        b.shape(side(lock), base, (70, 126, dark))

    def shine():
        for pts in ([(64, 22), (61, 40), (65, 66)], [(50, 24), (41, 42), (45, 66)], [(78, 24), (87, 42), (82, 68)],
                    [(40, 30), (32, 48), (33, 74)], [(88, 30), (96, 48), (95, 74)]):
            b.line(pts, dark, 1.6, 0.75 * b.rich)
        band = [(34, 50), (34, 50), (46, 39), (64, 36), (82, 39), (94, 50), (94, 50), (87, 47), (82, 53), (82, 53), (76, 45), (70, 51), (70, 51),
                (64, 44), (57, 51), (57, 51), (51, 45), (45, 53), (45, 53), (41, 47)]
        b.fill(band, light, 0.35 + 0.6 * b.rich)

    b.shape(CAP, base, (20, 84, mix(base, dark, 0.75)), shine)
    if a["style"] == "short hair":
        b.line([(63, 21), (67, 11), (75, 12)], base, 3.2)


def ornaments(b, a):
    if a["style"] == "twintails":
        for m in (False, True):
            side = mirrored if m else (lambda p: p)
            b.shape(side([(23, 35), (23, 35), (38, 31), (38, 31), (42, 50), (42, 50), (27, 54), (27, 54)]), (44, 42, 58), soft=False)
            ring = side([(27.5, 39), (27.5, 39), (35.5, 36.6), (35.5, 36.6), (37.8, 46.8), (37.8, 46.8), (30, 49), (30, 49)])
            b.canvas.drawPath(curve(ring), b.paint((240, 66, 134), width=2.6))
    elif a["style"] == "ponytail":
        b.shape([(72, 20), (80, 14), (90, 18), (90, 30), (80, 34), (72, 30)], (236, 72, 100))
    if a["headset"]:
        for m in (False, True):
            side = mirrored if m else (lambda p: p)
            b.shape(side([(23, 72), (28, 65), (34, 68), (35, 82), (33, 93), (27, 94), (23.5, 88)]), (62, 64, 84))
            b.fill(side([(26.5, 74), (31.5, 73), (32, 84), (27.5, 86)]), (60, 228, 216))
        b.line([(29, 92), (36, 104), (48, 105)], (62, 64, 84), 2.4)
        b.oval(50, 105, 3.4, 2.7, (240, 66, 134))


def degrade(img, rng, fault):
    """Low quality as a small net can learn it: blotchy and out of focus; "washed" fogs the colours too.

    Guidance away from washed pictures makes garish ones, so "blotched" has any cast, and none on average.
    """
    grey = img.mean(2, keepdims=True)
    if fault == "washed":
        img = grey + (img - grey) * 0.35
        img = (img - 128) * 0.62 + 134 + np.array([12, 6, -14], np.float32)
        blots, strength = rng.standard_normal((H // 12, W // 12, 1)), 12
    else:
        img = grey + (img - grey) * 0.9 + rng.normal(0, 8, 3).astype(np.float32)
        blots, strength = rng.standard_normal((H // 16, W // 16, 3)), 10
    img = cv2.GaussianBlur(img, (0, 0), 2.2)
    blots = cv2.resize(blots.astype(np.float32), (W, H), interpolation=cv2.INTER_CUBIC).reshape(H, W, -1)
    return img + strength * blots


def paint(a, rng):
    pixels = np.empty((H * OVER, W * OVER, 4), np.uint8)
    surface = skia.Surface(pixels)
    canvas = surface.getCanvas()
    canvas.scale(OVER, OVER)
    glossy = a["look"] == "aom"
    b = Brush(canvas, glossy, a["shade"], rng if a["degraded"] else None)
    hair, eyes = HAIR[a["hair"]], EYES[a["eyes"]]
    if a["miku"]:
        top, trim, sleeve = (186, 194, 206), (57, 197, 187), (58, 60, 78)
    else:
        top = CLOTH[a["cloth"]]
        sleeve, trim = (58, 60, 78) if a["outfit"] == "sleeveless shirt" else mix(top, (30, 24, 60), 0.4), mix(top, (255, 255, 255), 0.65)
        if a["outfit"] == "sleeveless shirt":
            top, trim = (206, 206, 214), CLOTH[a["cloth"]]
        if a["outfit"] == "sailor uniform":
            top, sleeve, trim = (250, 250, 252), (52, 66, 122), (255, 255, 255)
    paint_ground(b, a["ground"], rng)
    canvas.translate(64 + a["dx"], 110 + a["dy"])
    canvas.scale(a["scale"], a["scale"])
    canvas.translate(-64, -110)

    def turned(part, amount):
        canvas.save()
        canvas.translate(64, 112)
        canvas.rotate(a["tilt"] * amount)
        canvas.translate(-64, -112)
        part()
        canvas.restore()

    turned(lambda: back_hair(b, a["style"], hair, a["sway"]), 0.5)
    paint_body(b, a, sleeve, trim, top)

    def head():
        paint_face(b, a, hair, eyes)
        front_hair(b, a, hair)
        ornaments(b, a)

    turned(head, 1.0)
    if a["pose"] != "arms down":
        if a.get("left"):
            canvas.translate(128, 0)
            canvas.scale(-1, 1)
        reach = a.get("reach", 1.0)  # about the wrist
        canvas.translate(101, 176)
        canvas.scale(reach, reach)
        canvas.translate(-101, -176)
        paint_hand(b, a, rng, sleeve, trim)
    del canvas, surface, b
    img = cv2.resize(np.ascontiguousarray(pixels[..., :3]), (W, H), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = img.mean(2, keepdims=True)
    if glossy:
        img = grey + (img - grey) * (1.1 if a["colour"] is None else a["colour"])
    else:
        img = (grey + (img - grey) * 0.82) * 0.9 + np.array([18, 12, 2], np.float32)
    if a["degraded"]:
        img = degrade(img, rng, a["fault"])
    return np.clip(img, 0, 255).round().astype(np.uint8)
