"""What mkdocs does with these pages beyond its own.

- The reference page gets an entry for each name that `tf_lottery` exports.
- Pages and pictures outside docs/ that pages link to are in the site, too, and
  the links go there. So a link is one relative path, which is right on disk and
  in the site.
"""

import inspect
import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.livereload import LiveReloadServer
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import tf_lottery

# TensorFlow tells much when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).parent.parent
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "results/results.md")
PICTURES = "results/figures/*.svg"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Returns the site's files: those of docs/ and some from outside."""
    pictures = (path.relative_to(ROOT) for path in ROOT.glob(PICTURES))
    for name in (*OUTSIDE, *map(Path.as_posix, sorted(pictures))):
        files.append(
            File.generated(config, name, abs_src_path=os.fspath(ROOT / name))
        )
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Returns a page's text as the site has it."""
    if page.file.src_uri == "reference.md":
        return markdown + reference()
    return relinked(markdown, page.file.src_uri, files)


def on_serve(
    server: LiveReloadServer, config: MkDocsConfig, builder: Callable
) -> LiveReloadServer:
    """Watches what lies outside docs/, too."""
    for name in OUTSIDE:
        server.watch(os.fspath(ROOT / name))
    return server


def reference() -> str:
    """Returns an entry for each exported name, modules last."""
    found = {name: getattr(tf_lottery, name) for name in tf_lottery.__all__}
    entries = []
    for thing in sorted(found.values(), key=inspect.ismodule):
        if inspect.ismodule(thing):
            place = thing.__name__
            # What has an entry of its own needs no other.
            filters = ["!^_", *(f"!^{name}$" for name in found)]
        else:
            place = f"{thing.__module__}.{thing.__qualname__}"
            filters = ["!^_"]
        entries.append(f"\n::: {place}\n    options: {{filters: {filters}}}\n")
    return "".join(entries)


def relinked(markdown: str, page: str, files: Files) -> str:
    """Returns a page's text with links to files outside docs/ as in the site.

    Args:
        markdown: Of the page.
        page: Its path in the site.
        files: Of the site.
    """
    origin = page if page in OUTSIDE else f"docs/{page}"

    def moved(match: re.Match) -> str:
        path, _, heading = match[1].partition("#")
        if not path or ":" in path:
            return match[0]
        target = posixpath.normpath(
            posixpath.join(posixpath.dirname(origin), path)
        ).removeprefix("docs/")
        if files.get_file_from_path(target) is None:
            return match[0]  # mkdocs says so
        link = posixpath.relpath(target, posixpath.dirname(page) or ".")
        return f"]({link}{'#' + heading if heading else ''})"

    return re.sub(r"\]\(([^)\s]+)\)", moved, markdown)
