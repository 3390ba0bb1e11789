"""Gives the gateway another key: what `signalbox secrets rotate-gateway-key` runs in place of deploy.py."""

from signalbox.runs import new_gateway_key

new_gateway_key()
