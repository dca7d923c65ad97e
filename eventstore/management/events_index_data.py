"""Make the index by which the admin searches what is in the data of events, or drop it.

It is made while events are appended, and costs each append some time from then on.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper
from django.db import connections

from eventstore.browsing import queries
from eventstore.browsing.search import has_data_index
from eventstore.roles import owner_alias


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--drop", action="store_true", help="drop it, also one that was not finished")


def run(options: dict[str, Any], stdout: OutputWrapper) -> None:
    using = owner_alias()
    if not options["drop"] and has_data_index(using=using):
        stdout.write("The index of data is there.")
        return
    with connections[using].cursor() as cursor:
        cursor.execute(queries.DROP_DATA_INDEX)
        if options["drop"]:
            stdout.write("The index of data is dropped.")
            return
        cursor.execute(queries.MAKE_DATA_INDEX)
        cursor.execute(queries.DATA_INDEX_SIZE)
        ((size,),) = cursor.fetchall()
    stdout.write(f"The index of data is made: {size / 2**20:,.1f} MB.")
