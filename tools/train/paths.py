"""Where the intermediate files of a training run live."""
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
MINI = HERE.parent.parent / "weights" / "mini"
WORK = pathlib.Path(os.environ.get("MINI_WORK", HERE / "work")).resolve()
