"""Pictures side by side in one PNG."""
import cv2
import numpy as np


def save_sheet(pictures, columns, path, scale=1.0):
    pictures = np.asarray(pictures)
    n, h, w, _ = pictures.shape
    rows = -(-n // columns)
    out = np.full((rows * (h + 2), columns * (w + 2), 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (h + 2), i % columns * (w + 2)
        out[y:y + h, x:x + w] = picture
    if scale != 1:
        out = cv2.resize(out, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), out[..., ::-1])
