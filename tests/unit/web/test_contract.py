"""The OpenAPI document is kept: whatever it allows is answered as it says, and whatever it does not is refused."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks

from hotfire.testing.site import Site

SOUND, UNSOUND = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
OPERATIONS = [
    ("/api/v1/ingest/{stream}", "POST", SOUND),
    ("/api/v1/ingest/{stream}", "POST", UNSOUND),
    ("/api/v1/streams", "GET", SOUND),
    ("/api/v1/openapi.json", "GET", SOUND),
    ("/metrics", "GET", SOUND),
    ("/healthz", "GET", SOUND),
    ("/readyz", "GET", SOUND),
]


@pytest.fixture(scope="module")
def api(shared: Site) -> Any:
    """The document, with the name of the stream that is there, and without the encoding that bodies made here lack."""
    document = shared.ask("/api/v1/openapi.json").document
    (stream, encoding) = document["paths"]["/api/v1/ingest/{stream}"]["post"]["parameters"]
    stream["schema"], encoding["schema"] = {"enum": ["events", "nothing"]}, {"const": "identity"}
    return schemathesis.openapi.from_dict(document)


def test_every_operation_is_asked(api: Any) -> None:
    """The document has no more than the list here."""
    found = {(one.ok().path, one.ok().method.upper()) for one in api.get_all_operations()}
    assert found == {(path, method) for path, method, _ in OPERATIONS}


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_the_document_is_kept(
    api: Any, shared: Site, path: str, method: str, mode: schemathesis.GenerationMode
) -> None:
    """No request, sound or not, gets an answer that the document does not know, or 500.

    But for bodies that are no JSON: those are taken as they are, and judged later.
    """
    asked = api[path][method].as_strategy(generation_mode=mode)

    @settings(max_examples=30 if method == "POST" else 3)
    @given(data=st.data())
    def kept(data: st.DataObject) -> None:
        data.draw(asked).call_and_validate(base_url=shared.server.url, excluded_checks=[checks.negative_data_rejection])

    kept()
