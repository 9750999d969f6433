"""Static files with a hash in their name, compressed once at `collectstatic`; what people send, whole or not at all."""

import os
import uuid
from typing import Any

from django.core.files.storage import FileSystemStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage

# `import x from "./a.js";`, `import "./a.js";`, `export x from "./a.js";` and `import("./a.js")`
_FROM = r"""(?P<matched>(?P<what>(?:import|export)\s[^;"'()]*?from\s*)["'](?P<url>\.[^"']+)["'];)"""
_BARE = r"""(?P<matched>import\s*["'](?P<url>\.[^"']+)["'];)"""
_CALL = r"""(?P<matched>import\(["'](?P<url>\.[^"']+)["']\))"""


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Also rewrites the paths in the `import`s of our own modules, which so need no bundler.

    Django's switch for this takes the modules of every installed app, and stops at the first that
    imports what is not there.
    """

    max_post_process_passes = 10  # as deep as one module may import another
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", ((_FROM, '%(what)s"%(url)s";'), (_BARE, 'import "%(url)s";'), (_CALL, 'import("%(url)s")'))),
    )


class WholeFiles(FileSystemStorage):
    """A file has its name once all of it is written: on a full disk, or when a process ends, none is there by half."""

    def _save(self, name: str, content: Any) -> str:
        part = os.path.join(os.path.dirname(name), f"{uuid.uuid4().hex}.part")
        try:
            super()._save(part, content)  # type: ignore[misc]
            return self._named(part, name)
        finally:
            self.delete(part)

    def _named(self, part: str, name: str) -> str:
        """The name that is taken; another where somebody was faster."""
        while True:
            try:
                os.link(self.path(part), self.path(name))
            except FileExistsError:
                name = self.get_available_name(name)
            else:
                return name
