"""Copies to and from a device: the values, whichever way they go."""

import pytest
import torch

from art_domainrand.core.memory import onto


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_what_is_there_already_is_not_copied(device):
    values = torch.arange(5)
    assert onto(device, values) is values


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_values_arrive_there_and_back():
    values = torch.rand(1 << 20)
    there = onto("cuda", values)
    assert there.is_cuda
    assert torch.equal(onto("cpu", there.neg().neg()), values)
