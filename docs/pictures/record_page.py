"""Picture of the page while an episode is recorded, into docs/pictures/record_page.png.

    python docs/pictures/record_page.py

Real nodes and a real browser (Debian's chromium). The arm is `bench_robot`, which is where it was
last sent, behind the gate; its leader is a program, and its camera shows the clip of a task.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageSequence
from playwright.sync_api import Page, sync_playwright

from vdd_ros.contract import Contract
from vdd_ros.processes import Nodes, free_domain

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parents[1] / "config" / "panda_avoid.yaml"
CLIP = HERE / "tasks" / "avoid.webp"
TARGET = HERE / "record_page.png"
SIZE = {"width": 1320, "height": 900}
HOME = np.array([0.0, 0.2, 0.0, -2.0, 0.0, 2.2, 0.8])
PERIOD_S = 0.01
FRAME_S = 0.1
COLOURS = 200
NOTES = ("", "from the left", "", "touched a post")  # of one episode after the other


@contextmanager
def leading(domain: int) -> Iterator[None]:
    """A leader arm and a camera, for the length of the block."""
    import rclpy
    from sensor_msgs.msg import Image

    from vdd_ros.nodes.messages import command_message, message_class, qos_of

    rclpy.init(domain_id=domain)
    contract = Contract.from_yaml(CONTRACT)
    stream = contract.streams["teleop_command"]
    leader, camera = rclpy.create_node("leader_arm"), rclpy.create_node("front_camera")
    commands = leader.create_publisher(message_class(stream.type), stream.topic, qos_of(stream))
    pictures = camera.create_publisher(Image, "front/image_raw", 1)
    frames = [np.asarray(f.convert("RGB")) for f in ImageSequence.Iterator(Picture.open(CLIP))]
    ended = threading.Event()

    def lead() -> None:
        began_s = due_s = time.monotonic()
        while not ended.wait(max(0.0, due_s - time.monotonic())):
            phase = 0.5 * (due_s - began_s) + np.arange(7)
            position = HOME + 0.25 * (np.sin(phase) - np.sin(np.arange(7)))
            commands.publish(command_message(stream, contract, position, time.time_ns()))
            due_s += PERIOD_S

    def film() -> None:
        for frame in cycle(frames):
            height, width, _ = frame.shape
            message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
            message.data = frame.tobytes()
            pictures.publish(message)
            if ended.wait(FRAME_S):
                return

    threads = [threading.Thread(target=job) for job in (lead, film)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        rclpy.shutdown()


def operate(page: Page) -> None:
    """Some episodes are recorded and kept, and one is going on when the picture is taken."""
    state = page.locator("#state")
    for number, note in enumerate((*NOTES, "")):
        page.get_by_role("button", name="Start").click()
        page.locator("#clock").filter(has_text="0:06").wait_for()
        if number == len(NOTES):
            return
        if note:
            page.get_by_label("Note").fill(note)
            page.get_by_role("button", name="Add note").click()
        page.get_by_role("button", name="Failure" if "touched" in note else "Success").click()
        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Keep").click()
        if state.inner_text() == "FAIL":  # the machine is busy
            page.get_by_role("button", name="Yes, keep it").click()
        state.filter(has_text="READY").wait_for()


def main() -> None:
    """Set the stage, play, and take the picture."""
    scratch = Path(tempfile.mkdtemp())
    domain = free_domain()
    home = " ".join(map(str, HOME))
    here = {"contract": CONTRACT, "directory": "demonstrations"}
    os.chdir(scratch)
    with Nodes(scratch / "log", domain) as nodes:
        nodes.start("arm_driver", {"contract": CONTRACT, "position": home}, module="bench_robot")
        nodes.start("command_gate", {"contract": CONTRACT})
        nodes.start("recorder_node", here)
        nodes.start(
            "page_node", {**here, "port": 0, "episodes": 50, "previews": "'front:front/image_raw'"}
        )
        while not (told := nodes.last_line("page_node")).startswith("the page is at "):
            time.sleep(0.1)
            nodes.check()
        with leading(domain), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport=SIZE)
            page.goto(told.removeprefix("the page is at "))
            operate(page)
            page.screenshot(path=TARGET, full_page=True)
            browser.close()
    shutil.rmtree(scratch)
    whole = Picture.open(TARGET).convert("RGB")
    whole.quantize(COLOURS, dither=Picture.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    main()
