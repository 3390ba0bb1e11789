"""Facts read ahead: what a deploy asked of a host last time streams back before it asks again.

Learnt, not listed: a record keeps the commands of the facts that a deploy asked on a host, never an answer. The next
run sends them over two channels as soon as it is connected, and each fact takes its own answer as it comes. What is
not there is asked in the ordinary way, and is learnt. An answer is used only for the very command that the deploy asks,
only with exit status 0, for 15 seconds, and only until the first change. So a wrong record costs time, nothing else.

`SIGNALBOX_READ_AHEAD=0` switches it off; the result of a run is the same.

- question.py: which facts take part, and what tells two of them apart
- record.py: the file in which a deploy's questions wait for its next run
- stream.py: many questions over one SSH channel
- known.py: what is known of one host, and until when
- install.py: where all this is put into pyinfra
"""
