"""Static files with a hash in their name, compressed once at `collectstatic`."""

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
