"""The Smolfile: a machine declared in TOML, as docs/smolfile.md has it.

`keys` is the only list of what may stand there; `kinds` checks values and says the same as JSON
Schema; `parser` names the line of what is wrong; `document` says what it all means for `create`
and `run`; `template` writes a new one.
"""
