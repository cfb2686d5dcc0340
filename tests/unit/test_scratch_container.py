"""How a scratch server in a container is called for."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pydantic import ValidationError

from drkit.config.model import Postgresql
from drkit.errors import PreflightFailed
from drkit.postgres.scratch import container


def test_the_users_engine_is_used() -> None:
    """The engine that the user's variables name is named in arguments, since the environment is not passed on."""
    assert container.engine({}).command == ("docker",)
    named = container.engine({"DOCKER_HOST": "unix:///run/user/1000/docker.sock", "DOCKER_CONTEXT": ""})
    assert named.command == ("docker", "--host", "unix:///run/user/1000/docker.sock")


def test_an_engine_that_hangs_is_not_waited_for() -> None:
    """An engine that does not answer in time is a preflight that failed, not a drkit that hangs."""
    with pytest.raises(PreflightFailed, match="does not answer"):
        container.Engine(("sleep",)).run("60", deadline=0.1)


def test_a_container_gets_no_network_no_rights_and_no_secret() -> None:
    """Nothing is published, no variable is set, and the image is the last word before the script."""
    arguments = container.run_arguments("drkit-1-x", "postgres:17", Path("/tmp/drkit-1-x/server"))
    assert not {"--publish", "-p", "--env", "-e", "--env-file", "--privileged"} & set(arguments)
    pairs = set(itertools.pairwise(arguments))
    assert {("--network", "none"), ("--cap-drop", "ALL"), ("--user", "postgres"), ("postgres:17", "-c")} <= pairs


def test_a_directory_with_a_comma_and_quotes_is_one_field() -> None:
    """The directory is mounted whatever its name: Docker reads the option as a line of CSV."""
    arguments = container.run_arguments("n", "i", Path('/a,b "c"'))
    assert 'type=bind,"source=/a,b ""c""","target=/a,b ""c"""' in arguments


@pytest.mark.parametrize("image", ["--privileged", "", "postgres 17"])
def test_an_image_is_never_an_option(image: str) -> None:
    """What is not an image's name is refused with the configuration, not handed to Docker."""
    with pytest.raises(ValidationError):
        Postgresql(scratch_image=image)
