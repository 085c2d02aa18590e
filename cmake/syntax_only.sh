#!/bin/sh
# syntax_only.sh COMPILER ARGUMENT...: looks a file through for errors and warnings. Where its object file would be it
# leaves an empty one, so that the next build knows that this was done.
"$@" -fsyntax-only || exit
while [ "$1" != -o ]; do shift; done
: >"$2"
