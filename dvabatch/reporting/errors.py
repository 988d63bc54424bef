"""What goes wrong between a measured run and its report."""


class ReportError(Exception):
    """A report, a point or a results folder that cannot be used as it is: the message says what to do."""
