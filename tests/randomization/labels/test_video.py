"""Videos: one draw a clip."""

import pytest
import torch

from art_domainrand import DomainRandomization
from art_domainrand.randomization import TRANSFORMS, Draw, Elastic, GaussianNoise, Pipeline, Rotation, Sometimes

ITEMS = [Rotation(), Elastic(), Sometimes(TRANSFORMS["contrast"]()), GaussianNoise(0.1)]


def clips(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def draw_for(pipeline, n):
    return pipeline.sample(n, torch.Generator().manual_seed(1))


def test_every_frame_takes_the_draw_of_its_clip():
    pipeline = Pipeline(ITEMS)
    x = clips(3, 4, 3, 14, 17)
    draw = draw_for(pipeline, 3)
    changed = pipeline.apply(x, draw)
    assert changed.shape == x.shape
    for frame in range(4):
        assert torch.equal(changed[:, frame], pipeline.apply(x[:, frame], draw))


def test_a_still_stays_a_still_and_two_clips_differ():
    pipeline = Pipeline(ITEMS)
    x = clips(1, 1, 3, 14, 17).expand(2, 5, 3, 14, 17)
    changed = pipeline(x)
    assert torch.equal(changed, changed[:, :1].expand_as(changed)), "noise included: it is a fixed pattern"
    assert not torch.equal(changed[0], changed[1])


def test_slicing_clips_and_frames_commutes():
    pipeline = Pipeline(ITEMS)
    x, draw = clips(4, 3, 1, 9, 11), draw_for(pipeline, 4)
    whole = pipeline.apply(x, draw)
    assert torch.equal(pipeline.apply(x[1:3], draw[1:3]), whole[1:3])
    assert torch.equal(pipeline.apply(x[:, 1:], draw), whole[:, 1:])


def test_gradients_reach_the_clip_and_its_draw():
    pipeline = Pipeline([Rotation(), Elastic()])
    x, draw = clips(2, 3, 1, 8, 8).requires_grad_(), draw_for(pipeline, 2)
    u = draw.u.clone().requires_grad_()
    pipeline.apply(x, Draw(u, draw.seeds)).square().sum().backward()
    assert (x.grad != 0).flatten(2).any(2).all()
    assert (u.grad != 0).all()


def test_no_frames_pass_and_a_draw_for_frames_is_an_error():
    pipeline = Pipeline(ITEMS)
    for shape in ((0, 4, 3, 8, 8), (2, 0, 3, 8, 8)):
        assert pipeline(torch.rand(shape)).shape == shape
    with pytest.raises(ValueError, match="draw must be for 2 images, as many as x has, got 8"):
        pipeline.apply(torch.rand(2, 4, 3, 8, 8), pipeline.sample(8))
    with pytest.raises(ValueError, match=r"x must be .* or a video \(B, T, C, H, W\), got shape \(1, 2, 4, 3, 8, 8\)"):
        pipeline(torch.rand(1, 2, 4, 3, 8, 8))


@pytest.mark.parametrize("channels_first", [True, False])
def test_the_preprocessor_takes_videos_in_both_layouts(channels_first):
    x = clips(3, 4, 3, 14, 17)
    shown = x if channels_first else x.permute(0, 1, 3, 4, 2)
    preprocessor = DomainRandomization(ITEMS, channels_first=channels_first, clip=None, chunk_size=2)
    draw = draw_for(preprocessor.pipeline, 3)
    with preprocessor.replay(draw):
        changed, _ = preprocessor.forward(shown)
        as_array, _ = preprocessor(shown.numpy())
    expected = preprocessor.pipeline.apply(x, draw)
    assert torch.equal(changed if channels_first else changed.permute(0, 1, 4, 2, 3), expected)
    torch.testing.assert_close(torch.from_numpy(as_array), changed, atol=0, rtol=0)
