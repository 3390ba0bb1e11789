"""What `signalbox usage` runs on every host; it changes nothing."""

from pyinfra import host

from signalbox.settings import settings_for
from signalbox.usage import ask_host

s = settings_for(host)
ask_host(s.service_account.name, s.service_account.home, s.privileges())
