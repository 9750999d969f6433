"""Continuous batching of text generation. No web framework, no task queue, no database.

`engine.Engine` is the door: submit, abort, close. One runner thread owns the backend and repeats
`step`: schedule, run, emit. One output thread turns tokens into text and events.
"""
