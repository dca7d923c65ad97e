from datetime import datetime
from zoneinfo import ZoneInfo

from django import template
from django.utils.formats import date_format

register = template.Library()


@register.filter
def in_zone(moment: datetime, time_zone: str) -> str:
    """As the clocks of the zone show it, and which zone that is."""
    return f"{date_format(moment.astimezone(ZoneInfo(time_zone)), 'j M Y H:i')} {time_zone}"
