"""The packages of the wheel; everything else is said in pyproject.toml."""

from setuptools import find_packages, setup

# Embedded weights lie beside the packages here and inside of one in a wheel, where
# `weights.fetch` looks for them.
setup(
    packages=[*find_packages(include=["app*", "nar_core*"]), "nar_core.checkpoints"],
    package_dir={"nar_core.checkpoints": "checkpoints"},
)
