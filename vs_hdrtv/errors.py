"""The one exception of bad input."""


class InputError(ValueError):
    """Something that the caller can mend: `"feature_map: model 'x' is unknown; choose one of hdcfm"`.

    The message starts with the function or command, says the value found and what to do. The VapourSynth front turns it
    into `vs.Error`, the command line into one line on stderr and exit code 2. It is one line whatever it quotes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))
