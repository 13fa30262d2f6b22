"""What is given for a file and is none: a pipe is not waited for, a folder and a device get the same error."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from art_domainrand import DomainGenerator, PerturbationGenerator
from art_domainrand.evaluation import Report, open_data
from art_domainrand.images import open_image
from art_domainrand.loading.exported import from_file
from art_domainrand.loading.weights import read_weights
from art_domainrand.randomization import from_dict, load_pipeline
from art_domainrand.training.trainer import checkpoint

from support.estimators import make_classifier


def generator_of_document(path):
    from_dict({"version": 1, "transforms": [{"type": "domain.generator", "file": str(path)}]})


READERS = {
    "generator": (DomainGenerator.load, "path must be a file"),
    "generator in a document": (generator_of_document, r"transforms\[0\]: path must be a file"),
    "AdvGAN": (lambda path: PerturbationGenerator.load(path, make_classifier()), "path must be a file"),
    "weights": (read_weights, "weights must be a file"),
    "model": (from_file, "model must be a file"),
    "pipeline": (load_pipeline, "path must be a file"),
    "report": (Report.load, "path must be a file"),
    "npz": (lambda path: open_data(f"npz:{path}"), "data must be a file"),
    "checkpoint": (lambda path: checkpoint.load(path.parent, path.name, {}, "cpu"), "checkpoint must be a file"),
}


def made_pipe(path):
    os.mkfifo(path)
    return path


def made_folder(path):
    path.mkdir()
    return path


PLACES = {"pipe": made_pipe, "folder": made_folder}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such pipes here")
@pytest.mark.timeout(10)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_at_once(reader, place, tmp_path):
    read, message = READERS[reader]
    path = PLACES[place](tmp_path / "given.json")
    with pytest.raises(ValueError, match=rf"{message}.*given\.json'"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such pipes here")
@pytest.mark.timeout(10)
def test_pipes_among_images_are_refused(tmp_path):
    made_folder(tmp_path / "cat")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "cat" / "a.png")
    made_pipe(tmp_path / "cat" / "b.png")
    with pytest.raises(ValueError, match=r"data must be a file, got .*b\.png', which is a pipe"):
        open_data(f"imagefolder:{tmp_path}").digest()
    with pytest.raises(ValueError, match=r"data must hold images .*b\.png'.* must be a file"):
        open_data(f"imagefolder:{tmp_path}").read(np.array([1]))
    with pytest.raises(ValueError, match="image must be a file"):
        open_image(tmp_path / "cat" / "b.png")
    with pytest.raises(ValueError, match=r"data must be a file, got .*, which is a pipe"):
        open_data(f"cifar10c:{made_pipe(tmp_path / 'fog.npy')}")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_device_is_refused():
    """It has no end."""
    with pytest.raises(ValueError, match="path must be a file, got '/dev/zero', which is a pipe, a socket or a device"):
        DomainGenerator.load("/dev/zero")
