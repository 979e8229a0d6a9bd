"""k-diffusion's sampling and external modules without the packages that only its training needs."""
import importlib
import importlib.util
import sys
import types

_spec = importlib.util.find_spec("k_diffusion")
_package = types.ModuleType("k_diffusion")
_package.__path__ = list(_spec.submodule_search_locations)
sys.modules["k_diffusion"] = _package

sampling = importlib.import_module("k_diffusion.sampling")
external = importlib.import_module("k_diffusion.external")
