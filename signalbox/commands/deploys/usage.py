"""What `signalbox usage` runs on every host; it changes nothing."""

from pyinfra import host

from signalbox.fleet.usage import ask_host
from signalbox.settings import settings_for

s = settings_for(host)
ask_host(s.service_account.name, s.service_account.home, s.privileges())
