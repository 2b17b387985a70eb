"""The desk: one page in the browser that shows the mix and changes it, and its server.

A request passes `guard` (whose page asks?) and `login` (who asks?), then `app` has it answered. One look a second at
Redis, by `worker.live`, serves all browsers. Changes are made by the step that everybody takes, `worker.weights.step`.
"""
