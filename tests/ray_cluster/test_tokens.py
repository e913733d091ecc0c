"""The rule for tokens: clusters that may be used, and clusters that get our token."""

from __future__ import annotations

import pytest

from fedrl_ray.common.errors import UserError
from fedrl_ray.ray_cluster import tokens

EXPOSED = "other machines can reach this cluster, and there is no token here"
ASKS = "the cluster asks for a token, and there is no token here"
OFF = "RAY_AUTH_MODE switches the token off here: unset it"
OPEN = "this cluster asks for no token"
WRONG = r"the token here \(RAY_AUTH_TOKEN\) is not this cluster's"

CASES = [
    # exposed, allowed, token, mode -> answer -> refusal, or True if the token is sent
    (True, False, "", None, "open", EXPOSED),
    (True, False, "", None, "token", EXPOSED),
    (True, False, "abc", "disabled", "token", OFF),
    (True, False, "abc", None, "open", OPEN),
    (True, False, "abc", None, "token", True),
    (True, False, "abc", None, "ours", True),
    (True, False, "abc", None, "closed", WRONG),
    (True, False, "abc", None, "unknown", True),
    (True, True, "", None, "open", False),
    (True, True, "", None, "token", ASKS),
    (True, True, "abc", None, "open", False),
    (True, True, "abc", None, "token", True),
    (False, False, "", None, "open", OPEN),
    (False, False, "", None, "token", ASKS),
    (False, False, "", None, "unknown", False),
    (False, False, "abc", "disabled", "ours", OFF),
    (False, False, "abc", "disabled", "unknown", False),
    (False, False, "abc", None, "closed", WRONG),
]  # fmt: skip


@pytest.fixture
def user(tmp_path, monkeypatch):
    """Set the variables of a user: tokens, mode, and whether open clusters are allowed."""

    def configure(allowed, token, mode):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv(tokens.TOKEN, token)
        monkeypatch.setenv(tokens.ALLOW_OPEN, "1" if allowed else "")
        monkeypatch.delenv(tokens.TOKEN_PATH, raising=False)
        monkeypatch.setenv(tokens.MODE, mode or "")
        if mode is None:
            monkeypatch.delenv(tokens.MODE)

    monkeypatch.setattr(tokens, "send_token", lambda: None)
    return configure


@pytest.mark.parametrize(("exposed", "allowed", "token", "mode", "answer", "expected"), CASES)
def test_a_cluster_is_used_by_one_rule(user, exposed, allowed, token, mode, answer, expected):
    user(allowed, token, mode)
    if isinstance(expected, bool):
        assert tokens.authorise("HEAD:1", lambda: answer, exposed=exposed) is expected
    else:
        with pytest.raises(UserError, match=f"^HEAD:1: .*{expected}"):
            tokens.authorise("HEAD:1", lambda: answer, exposed=exposed)


def test_nothing_is_asked_of_an_exposed_cluster_without_a_token(user):
    user(False, "", None)
    asked = []
    with pytest.raises(UserError, match=EXPOSED):
        tokens.authorise("HEAD:1", lambda: asked.append(1) or "open", exposed=True)
    assert not asked


def test_an_open_cluster_that_is_joined_here_needs_no_token(user):
    user(False, "abc", None)
    assert not tokens.authorise("HEAD:1", lambda: "open", exposed=False, open_will_do=True)
