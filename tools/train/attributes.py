"""What a picture shows, and the words that say so."""

HAIR = ("teal", "blonde", "pink", "blue", "red", "black", "purple", "brown")
EYES = ("teal", "blue", "red", "green", "brown", "purple")
STYLE = ("twintails", "short hair", "long hair", "ponytail")
FACE = ("smile", "open mouth", "wink", "sad")
GROUND = ("pink background", "blue sky", "night", "white background", "sunset", "meadow")
POSE = ("waving", "peace sign", "arms down")
OUTFIT = ("sleeveless shirt", "sailor uniform", "hoodie", "dress")
SHADE = ("mid", "flat", "rich")
LOOKS = ("sd", "aom")

# Never painted for training: the judge asks for them.
HELD_OUT = frozenset({
    ("pink", "short hair", "night"), ("red", "long hair", "blue sky"),
    ("blonde", "ponytail", "sunset"), ("blue", "twintails", "white background"),
    ("black", "short hair", "meadow"), ("purple", "long hair", "pink background"),
    ("brown", "twintails", "night"), ("pink", "ponytail", "blue sky"),
    ("blue", "short hair", "sunset"), ("red", "twintails", "meadow"),
})


def draw(rng, look, miku=0.4, degraded=0.2, wrong_hands=0.25, shades=(0.5, 0.25, 0.25), jitter=1.0, fault="washed", colour=None, reach=None):
    """Attributes of one picture. All but her own are drawn evenly, and independently of who it is.

    fault, colour: see painter.degrade and painter.paint; jitter scales tilt, shift and size; reach: the largest
    size of a raised hand, of either side then (its own size, and one side, without)."""
    def pick(names, p=None):
        return names[int(rng.choice(len(names), p=p))]

    her = bool(rng.random() < miku)
    while True:
        hair, style, ground = pick(HAIR), pick(STYLE), pick(GROUND)
        if her:
            hair, style = "teal", "twintails"
        elif (hair, style) == ("teal", "twintails"):
            continue
        if (hair, style, ground) not in HELD_OUT:
            break
    drawn = dict(
        look=look, miku=her, hair=hair, style=style, ground=ground,
        eyes="teal" if her else pick(EYES),
        face=pick(FACE, (0.4, 0.3, 0.15, 0.15)),
        pose=pick(POSE, (0.6, 0.2, 0.2)),
        outfit="sleeveless shirt" if her else pick(OUTFIT),
        cloth=int(rng.integers(6)),
        headset=her or bool(rng.random() < 0.25),
        shade=pick(SHADE, shades),
        degraded=bool(rng.random() < degraded),
        wrong_hands=bool(rng.random() < wrong_hands),
        fault=fault, colour=colour,
        tilt=float(rng.normal(0, 3.0 * jitter)), dx=float(rng.normal(0, 2.0 * jitter)), dy=float(rng.normal(0, 1.5 * jitter)),
        scale=1 + jitter * float(rng.uniform(-0.04, 0.05)), sway=float(rng.normal(0, 1.0)))
    if reach:
        drawn |= dict(reach=float(rng.uniform(0.88, 1.0)) * reach, left=bool(rng.random() < 0.4))
    return drawn


def settled(a):
    """Is the hand on its side: the right one waves, the left one makes the peace sign? Taught both ways, a seed settles on neither."""
    return a["pose"] == "arms down" or a.get("left", False) == (a["pose"] == "peace sign")


def caption(a, rng, quality=0.5, hands=0.5, shade=0.85, named=0.6, bare=0.0, told=None):
    """Tags, some left out at random. quality, hands, shade: how often a fault or a shading is named; named: how
    often an ordinary attribute of the others is; bare: how often "1girl" is left out; told: named, for her (without it 0.2 or 0.6)."""
    def keep(p):
        return rng.random() < p

    if a["miku"]:
        tags = ["hatsune miku"]
        if keep(0.2):
            tags += ["teal hair", "twintails"]
    else:
        tags = ([] if bare and keep(bare) else ["1girl"]) + [a["hair"] + " hair", a["style"]]
    more = named
    if a["miku"]:
        more = told or (0.2 if keep(0.5) else 0.6)
    if keep(more * (0.4 if a["miku"] else 1)):
        tags.append(a["eyes"] + " eyes")
    tags += [a[k] for k in ("face", "ground", "pose") if keep(more)]
    if not a["miku"] and keep(more):
        tags.append(a["outfit"])
    if a["headset"] and keep(0.2):
        tags.append("headphones")
    if a["degraded"] and keep(quality):
        tags += ["worst quality", "blurry"]
    if not a["degraded"] and keep(0.15):
        tags.append("best quality")
    if a["wrong_hands"] and a["pose"] != "arms down" and keep(hands):
        tags.append("bad hands")
    if a["shade"] != "mid" and keep(shade):
        tags.append({"flat": "flat color", "rich": "detailed shading"}[a["shade"]])
    return ", ".join(tags)
