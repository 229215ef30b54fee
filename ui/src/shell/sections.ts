// What the rail and the bottom tabs show, in order. A service that is built adds its line here
// (and its name to Section in state/route.ts).
import MessageCircle from '@lucide/svelte/icons/message-circle';
import Settings from '@lucide/svelte/icons/settings';
import UsersRound from '@lucide/svelte/icons/users-round';
import type { Component } from 'svelte';
import type { Section } from '../state/route';
import { words } from '../words';

interface SectionItem {
  section: Section;
  label: string;
  icon: Component<{ size?: number; strokeWidth?: number }>;
  place: 'top' | 'foot';
}

export const sections: SectionItem[] = [
  { section: 'chats', label: words.rail.chats, icon: MessageCircle, place: 'top' },
  { section: 'people', label: words.rail.people, icon: UsersRound, place: 'top' },
  { section: 'settings', label: words.rail.settings, icon: Settings, place: 'foot' },
];
