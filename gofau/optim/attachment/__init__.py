"""Apply an update rule to the steps of an optimizer that is not gofau's."""
