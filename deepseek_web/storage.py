"""Static files with a hash in their name, compressed once at `collectstatic`."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    """Also rewrites the paths in `import` statements, so that ES modules need no bundler."""

    support_js_module_import_aggregation = True
    max_post_process_passes = 10  # as deep as one module may import another
