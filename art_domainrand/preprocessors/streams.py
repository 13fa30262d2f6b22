"""Where training finds the streams of preprocessors."""

from art_domainrand.core.streams import Stream as Stream
