"""An update rule for an optimizer that is not gofau's."""
