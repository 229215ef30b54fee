// A finger held still opens the menu, as a right click does.

const HOLD_MS = 450;
const STILL_PX = 10;

export function longPress(node: HTMLElement, onpress: (at: { x: number; y: number }) => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let start = { x: 0, y: 0 };
  let pressed = false;
  let current = onpress;

  const cancel = () => clearTimeout(timer);
  const down = (event: PointerEvent) => {
    pressed = false;
    if (event.pointerType !== 'touch') return;
    start = { x: event.clientX, y: event.clientY };
    cancel();
    timer = setTimeout(() => {
      pressed = true;
      current(start);
    }, HOLD_MS);
  };
  const move = (event: PointerEvent) => {
    if (Math.hypot(event.clientX - start.x, event.clientY - start.y) > STILL_PX) cancel();
  };
  const click = (event: MouseEvent) => {
    if (!pressed) return;
    pressed = false;
    event.preventDefault();
    event.stopPropagation();
  };
  node.addEventListener('pointerdown', down);
  node.addEventListener('pointermove', move);
  node.addEventListener('pointerup', cancel);
  node.addEventListener('pointercancel', cancel);
  node.addEventListener('click', click, true);

  return {
    update(next: typeof onpress) {
      current = next;
    },
    destroy: cancel,
  };
}
