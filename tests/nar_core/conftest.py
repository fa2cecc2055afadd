"""Tiny random models in the form of the embedded ones."""

from __future__ import annotations

import pytest

from .helpers import write_model_folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a model of words and one of classes."""
    folder = tmp_path_factory.mktemp("models")
    write_model_folder(folder, "words")
    write_model_folder(folder, "classes", "class")
    return folder
