"""Stand-in: a bar that counts, and at which a test cancels."""


class Cancelled(Exception):  # noqa: N818  # ComfyUI's is InterruptProcessingException
    pass


cancel_at = None
last = None


class ProgressBar:
    def __init__(self, total):
        global last
        self.total, self.current = total, 0
        last = self

    def update(self, value):
        self.current += value
        if cancel_at is not None and self.current >= cancel_at:
            raise Cancelled
