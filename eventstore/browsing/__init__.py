"""The log as people read it: searched, event by event with what followed, stream by stream. Plain data, for any front
end; nothing here costs more for the length of the log.
"""
