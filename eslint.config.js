import js from '@eslint/js';
import globals from 'globals';

const spacing = 'core/**/*.js, dashboard/**/*.js, tests/**/*.mjs'.split(', ');

export default [
  { ignores: ['.venv*/', 'node_modules/', 'out/', 'runs/', 'core/data/'] },
  js.configs.recommended,
  {
    files: spacing,
    languageOptions: { ecmaVersion: 2025, sourceType: 'module', globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'eqeqeq': 'error',
      'max-len': ['error', { code: 120 }],
      'no-var': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
      'no-shadow': 'error',
      'no-implicit-globals': 'error',
      'no-restricted-properties': ['error', { property: 'innerHTML', message: 'text of strangers goes through textContent' }],
    },
  },
  { files: ['tests/**/*.mjs', '*.config.js'], languageOptions: { globals: globals.node } },
];
