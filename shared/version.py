"""Which version this is. A constant: asking the installed package takes longer than starting."""

VERSION = "0.1.0"
