"""Whether a file was made again, and what differs if not."""

from __future__ import annotations

from app.recipes import verdict


def test_verdict_names_what_differs():
    made = {"device": "cpu", "dtype": "float32", "machine": "x"}
    before = {"sample": 0, "token_digest": "a", "digest": "w1", "made_with": made}
    after = {**before, "token_digest": "b", "digest": "w2"}
    after["made_with"] = {**made, "device": "cuda"}
    assert verdict(before, [after]) == {"same": False, "differs": ["weights", "device"]}
    newer = {**before, "token_digest": "b", "made_with": {**made, "torch": "3.0"}}
    older = {**before, "made_with": {**made, "torch": "2.0"}}
    assert verdict(older, [newer])["differs"] == ["torch"]
    # a file from before that was noted
    assert verdict(before, [newer])["differs"] == ["library versions"]
