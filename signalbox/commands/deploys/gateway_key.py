"""Gives the gateway another key: what `signalbox secrets rotate-gateway-key` runs in place of deploy.py."""

from pyinfra import host

from signalbox.settings import settings_for
from tasks.secrets import rotated_gateway_key

s = settings_for(host)
rotated_gateway_key(s.secrets, s.gateway_account, s.service_account, s.gateway.port, **s.privileges())
