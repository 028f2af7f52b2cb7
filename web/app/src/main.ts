import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { Daemon } from '$lib/runtime/daemon';

const target = document.getElementById('app');
if (target) mount(App, { target, props: { runtime: new Daemon() } });
