"""What a host becomes, as `signalbox.tasks`: a clone has the modules in tasks/, a wheel in place of this file."""

from signalbox.shipped import shipped

__path__ = [str(shipped("tasks"))]
