"""Nothing in a document is left to belief: each block is run, or says why not."""

import pytest

from tests.documents.blocks import ANOTHER_TEST, EXCERPT, ROOT, Block, blocks_of, documents

BLOCKS = [block for document in documents() for block in blocks_of(document)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}:{block.line}")
def test_a_block_is_run_or_says_that_it_is_an_excerpt_or_which_test_holds_it(block: Block) -> None:
    if block.what.startswith(ANOTHER_TEST):
        assert (ROOT / block.what).is_file()
        return
    if block.what == EXCERPT:
        return
    document = blocks_of(block.document)
    if block.file:
        later = [other for other in document if other.is_run and other.line > block.line]
        assert any(block.file in other.text for other in later), "no command uses the file"
        return
    assert block.is_run, "neither a shell block, nor a file, nor an excerpt"
